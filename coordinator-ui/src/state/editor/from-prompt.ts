/** Between prompts, which are run, and workflows, which are drawn. */
import { convertWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import type { JsonValue } from '@comfymesh/protocol/json'
import {
  isLink,
  type NodeDefinitions,
  type NodeId,
  type Prompt,
} from '@comfymesh/protocol/workflow'
import { layout } from '../layout.ts'
import { emptyWorkflow, listOf, nodeIdOf, nodeOf, nodesOf, type Workflow } from './document.ts'
import { connect } from './edit-links.ts'
import { addNode, setTitle } from './edit-nodes.ts'
import { setWidget } from './edit-widgets.ts'
import { newNode, TITLE_HEIGHT } from './new-node.ts'
import { allInputs } from './node-parts.ts'
import { nodeView, pairOf, viewById } from './node-view.ts'

const GAP_X = 60
const GAP_Y = 40

/**
 * A drawing of the prompt: the same ids where they are numbers, in columns along the links.
 * Nodes of unknown classes are drawn without sockets, and their links are lost.
 */
export function workflowOfPrompt(prompt: Prompt, definitions: NodeDefinitions): Workflow {
  const drawn = new Map<NodeId, string>()
  let workflow = emptyWorkflow()
  for (const [id, { class_type: type }] of inOrderOfIds(prompt)) {
    const node = newNode(type, { x: 0, y: 0 }, definitions) ?? { type, pos: [0, 0], flags: {} }
    const isNumber = /^\d{1,9}$/.test(id)
    const added = addNode(workflow, isNumber ? { ...node, id: Number(id) } : node)
    workflow = isNumber ? { ...added.workflow, last_node_id: Number(id) } : added.workflow
    drawn.set(id, isNumber ? id : added.id)
  }
  for (const [id, node] of Object.entries(prompt)) {
    const title = node._meta?.title
    const nodeId = drawn.get(id)!
    const isOwn = title !== undefined && title !== viewById(workflow, nodeId, definitions)?.title
    if (isOwn) workflow = setTitle(workflow, nodeId, title)
    for (const [name, value] of Object.entries(node.inputs)) {
      workflow = isLink(value)
        ? linked(workflow, { nodeId, name }, [drawn.get(value[0]) ?? '', value[1]], definitions)
        : setWidget(workflow, { nodeId, name }, value, definitions)
    }
  }
  return laidOut(workflow, prompt, drawn)
}

/** Numbers first, so that an id that is given out later is free. */
function inOrderOfIds(prompt: Prompt): [NodeId, Prompt[NodeId] & {}][] {
  const rank = (id: NodeId) => (/^\d{1,9}$/.test(id) ? Number(id) : Number.POSITIVE_INFINITY)
  return Object.entries(prompt).toSorted(([one], [other]) =>
    rank(one) === rank(other) ? 0 : rank(one) - rank(other),
  )
}

function linked(
  workflow: Workflow,
  { nodeId, name }: { readonly nodeId: string; readonly name: string },
  [sourceId, slot]: readonly [string, number],
  definitions: NodeDefinitions,
): Workflow {
  const view = viewById(workflow, nodeId, definitions)
  const input = view && allInputs(view).find((one) => one.name === name)
  if (input === undefined) return workflow
  return connect(workflow, { nodeId: sourceId, slot }, { nodeId, key: input.key }, definitions)
}

function laidOut(workflow: Workflow, prompt: Prompt, drawn: ReadonlyMap<NodeId, string>): Workflow {
  const sizeOf = (id: NodeId) => pairOf(nodeOf(workflow, drawn.get(id)!)?.size)
  const height = (id: NodeId) => sizeOf(id)[1] + TITLE_HEIGHT
  // Places whose x is the number of the column: each is as wide as its widest node.
  const places = layout(prompt, { width: 1, gapX: 0, gapY: GAP_Y, height })
  const widths: number[] = []
  for (const [id, { x: column }] of places) {
    widths[column] = Math.max(widths[column] ?? 0, sizeOf(id)[0])
  }
  const left = (column: number) =>
    widths.slice(0, column).reduce((sum, width) => sum + width + GAP_X, 0)
  const byNode = new Map([...places].map(([id, place]) => [drawn.get(id), place]))
  const nodes = nodesOf(workflow).map((node) => {
    const { x, y } = byNode.get(nodeIdOf(node)) ?? { x: 0, y: 0 }
    return { ...node, pos: [left(x), Math.round(y)] }
  })
  return { ...workflow, nodes }
}

/**
 * The workflow with the values of a prompt that was made of it and changed since. Values that the
 * conversion rewrites, such as texts with choices in them, stay as they are drawn.
 */
export function withPromptValues(
  workflow: Workflow,
  prompt: Prompt,
  definitions: NodeDefinitions,
): Workflow {
  const options = { now: new Date(0), random: () => 0 }
  const { prompt: before } = convertWorkflow(workflow, definitions, options)
  return nodesOf(workflow).reduce((changed, node) => {
    const id = nodeIdOf(node)
    const now = prompt[id]
    if (now === undefined || now.class_type !== node.type) return changed
    return nodeView(node, workflow, definitions).widgets.reduce((one, { name, value }) => {
      const next: JsonValue | undefined = now.inputs[name]
      const isPlain = next !== undefined && typeof next !== 'object'
      const isAsDrawn = before[id]?.inputs[name] === value
      if (!isPlain || next === value || !isAsDrawn) return one
      return setWidget(one, { nodeId: id, name }, next, definitions)
    }, changed)
  }, workflow)
}

export const isEmpty = ({ nodes }: Workflow): boolean => listOf(nodes).length === 0
