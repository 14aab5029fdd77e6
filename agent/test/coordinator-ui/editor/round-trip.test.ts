/** What the editor opens it saves as it was, and what it changes it changes alone. */
import { type JsonObject, type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { copyNodes, pasteNodes } from '../../../../coordinator-ui/src/state/editor/clipboard.ts'
import {
  type Link,
  linksOf,
  nodeIdOf,
  nodesOf,
  openedWorkflow,
  type Point,
  type Workflow,
} from '../../../../coordinator-ui/src/state/editor/document.ts'
import { connect, removeLinks } from '../../../../coordinator-ui/src/state/editor/edit-links.ts'
import {
  addGroup,
  addNode,
  groupsOf,
  moveGroup,
  moveNodes,
  removeNodes,
  setColour,
  setTitle,
  toggleCollapsed,
  toggleMode,
} from '../../../../coordinator-ui/src/state/editor/edit-nodes.ts'
import {
  addPoint,
  movePoint,
  removePoint,
} from '../../../../coordinator-ui/src/state/editor/edit-points.ts'
import { setWidget } from '../../../../coordinator-ui/src/state/editor/edit-widgets.ts'
import {
  type History,
  redone,
  startHistory,
  step,
  undone,
} from '../../../../coordinator-ui/src/state/editor/history.ts'
import { linkRoutes } from '../../../../coordinator-ui/src/state/editor/link-routes.ts'
import { newNode } from '../../../../coordinator-ui/src/state/editor/new-node.ts'
import { allInputs, slotOfInput } from '../../../../coordinator-ui/src/state/editor/node-parts.ts'
import { nodeView } from '../../../../coordinator-ui/src/state/editor/node-view.ts'
import { graphAt, withGraphAt } from '../../../../coordinator-ui/src/state/editor/open-graph.ts'
import { randomNumbers } from '../../random.ts'
import { definitions, drawings, parsed, promptOf } from './workflows.ts'

/** Everything that is shown of a workflow, as opening it reads it. */
const shown = (workflow: Workflow) =>
  nodesOf(workflow).map((node) => nodeView(node, workflow, definitions))

for (const { name, text } of drawings) {
  t.test(`opened and saved: ${name}`, async (t) => {
    const workflow = openedWorkflow(parsed(text))
    shown(workflow)
    t.strictSame(parsed(stringifyJson(workflow)), parsed(text))
  })

  t.test(`what an edit does not touch stays the same object: ${name}`, async (t) => {
    const workflow = openedWorkflow(parsed(text))
    const [first] = nodesOf(workflow)
    if (first === undefined) return
    const edited = setTitle(workflow, nodeIdOf(first), 'changed')
    t.strictSame({ ...edited, nodes: [] }, { ...workflow, nodes: [] })
    t.ok(
      nodesOf(edited)
        .filter((node) => nodeIdOf(node) !== nodeIdOf(first))
        .every((node) => nodesOf(workflow).includes(node)),
    )
  })

  t.test(`a link that is drawn again gives the same prompt: ${name}`, async (t) => {
    const workflow = openedWorkflow(parsed(text))
    const before = safePrompt(workflow)
    for (const link of linksOf(workflow)) {
      const target = nodesOf(workflow).find((node) => nodeIdOf(node) === link.targetId)
      const view = target && nodeView(target, workflow, definitions)
      const input = view && allInputs(view).find(({ linkId }) => linkId === link.id)
      if (input === undefined) continue
      const cut = removeLinks(workflow, new Set([link.id]))
      const from = { nodeId: link.originId, slot: link.originSlot }
      const to = { nodeId: link.targetId, key: input.key }
      const again = connect(cut, from, to, definitions)
      // A link that never fitted, or goes in a circle, cannot be drawn.
      if (again !== cut) t.strictSame(safePrompt(again), before, `link ${link.id}`)
    }
  })

  t.test(`random edits, undone, lead back: ${name}`, async (t) => {
    for (const seed of [1, 2]) {
      const start = openedWorkflow(parsed(text))
      // Some of the vectors are broken on purpose.
      const known = new Set(faultsOf(start))
      const random = randomNumbers(seed)
      let history = startHistory(start)
      for (let count = 0; count < 40; count++) {
        history = step(history, randomEdit(history.present, random))
        const faults = faultsOf(history.present).filter((fault) => !known.has(fault))
        if (faults.length > 0) return t.strictSame(faults, [], `seed ${seed}, edit ${count}`)
      }
      const end = stringifyJson(history.present)
      const back = all(history, undone)
      t.equal(back.present, start)
      t.strictSame(parsed(stringifyJson(back.present)), parsed(text))
      t.equal(stringifyJson(all(back, redone).present), end)
    }
  })
}

for (const { name, text } of drawings) {
  const start = openedWorkflow(parsed(text))
  const [instance] = shown(start).filter(({ kind }) => kind === 'subgraph')
  if (instance === undefined) continue
  t.test(`random edits inside of a subgraph, undone, lead back: ${name}`, async (t) => {
    const path = [instance.id]
    for (const seed of [1, 2, 3]) {
      const known = new Set(faultsOf(graphAt(start, path)))
      const random = randomNumbers(seed)
      let history = startHistory(start)
      for (let count = 0; count < 40; count++) {
        const edited = withGraphAt(history.present, path, (graph) => randomEdit(graph, random))
        history = step(history, edited)
        const inside = graphAt(edited, path)
        const faults = [...faultsOf(inside), ...socketFaults(inside)].filter(
          (fault) => !known.has(fault),
        )
        if (faults.length > 0) return t.strictSame(faults, [], `seed ${seed}, edit ${count}`)
        t.strictSame(
          { ...edited, definitions: 0, last_node_id: 0, last_link_id: 0, state: 0 },
          { ...start, definitions: 0, last_node_id: 0, last_link_id: 0, state: 0 },
          'the drawing around stays as it is',
        )
      }
      const back = all(history, undone)
      t.equal(back.present, start)
      t.strictSame(parsed(stringifyJson(back.present)), parsed(text))
    }
  })
}

/** Where the sockets of a subgraph do not tell of the links that begin or end at them. */
function socketFaults(inside: Workflow): string[] {
  const sides = [
    ['inputs', ({ originId, originSlot }: Link) => `${originId} ${originSlot}`, '-10'],
    ['outputs', ({ targetId, targetSlot }: Link) => `${targetId} ${targetSlot}`, '-20'],
  ] as const
  return sides.flatMap(([side, endOf, nodeId]) =>
    (inside[side] as unknown as { linkIds?: JsonValue[] }[]).flatMap(({ linkIds = [] }, slot) => {
      const own = linksOf(inside).filter((link) => endOf(link) === `${nodeId} ${slot}`)
      const told = linkIds.map(String).sort().join()
      const drawn = own.map(({ id }) => id).sort()
      return told === drawn.join() ? [] : [`${side} ${slot} tell of ${told}, and not of ${drawn}`]
    }),
  )
}

function safePrompt(workflow: JsonObject): unknown {
  try {
    return promptOf(workflow)
  } catch (error) {
    return (error as Error).message
  }
}

type Steps = History<Workflow>

function all(history: Steps, go: (history: Steps) => Steps): Steps {
  let now = history
  for (let next = go(now); next.present !== now.present; next = go(now)) now = next
  return now
}

function randomEdit(workflow: Workflow, random: () => number): Workflow {
  const one = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const node = one(nodesOf(workflow))
  const view = node && nodeView(node, workflow, definitions)
  const id = view?.id ?? ''
  const ids = new Set([id])
  const at = { x: Math.floor(random() * 900), y: Math.floor(random() * 900) }
  const edits: (() => Workflow)[] = [
    () => addNode(workflow, newNode(one(Object.keys(definitions))!, at, definitions)!).workflow,
    () => addNode(workflow, newNode('Reroute', at, definitions)!).workflow,
    () => addNode(workflow, newNode('PrimitiveNode', at, definitions)!).workflow,
    () => randomPoint(workflow, one, at),
    () => removeNodes(workflow, ids),
    () => moveNodes(workflow, new Map([[id, at]])),
    () => toggleMode(workflow, ids, one(['muted', 'bypassed'] as const)!),
    () => toggleCollapsed(workflow, ids),
    () => setTitle(workflow, id, one(['', 'a title'])!),
    () => setColour(workflow, ids, one([undefined, { color: '#232', bgcolor: '#353' }])),
    () => removeLinks(workflow, new Set([one(linksOf(workflow))?.id ?? ''])),
    () => pasteNodes(workflow, copyNodes(workflow, ids), at).workflow,
    () => addGroup(workflow, 'a group', [{ ...at, width: 100, height: 100 }]),
    () => moveGroup(workflow, one(groupsOf(workflow))?.index ?? 0, at),
    () => randomLink(workflow, one),
    () => randomLink(workflow, one),
    () => {
      const widget = view && one(view.widgets)
      const value = one([7, 'text', true, 2n ** 64n - 1n])!
      return widget
        ? setWidget(workflow, { nodeId: id, name: widget.name }, value, definitions)
        : workflow
    },
  ]
  return one(edits)!()
}

function randomPoint(
  workflow: Workflow,
  one: <T>(list: readonly T[]) => T | undefined,
  at: Point,
): Workflow {
  const link = one(linksOf(workflow))
  if (link === undefined) return workflow
  const route = linkRoutes(workflow).get(link.id) ?? []
  const point = one(route)
  const edits = [
    () => addPoint(workflow, link.id, route.indexOf(point!) + 1, at),
    () => movePoint(workflow, point?.id ?? '', at),
    () => removePoint(workflow, point?.id ?? ''),
  ]
  return one(edits)!()
}

function randomLink(workflow: Workflow, one: <T>(list: readonly T[]) => T | undefined): Workflow {
  const views = shown(workflow)
  const source = one(views)
  const output = source && one(source.outputs)
  const target = one(views)
  const input = target && one(allInputs(target))
  if (output === undefined || input === undefined) return workflow
  const from = { nodeId: source!.id, slot: output.slot }
  return connect(workflow, from, { nodeId: target!.id, key: input.key }, definitions)
}

/** Where the three places that tell of a link do not agree. */
function faultsOf(workflow: Workflow): string[] {
  const links = new Map(linksOf(workflow).map((link) => [link.id, link]))
  const faults: string[] = []
  if (links.size !== linksOf(workflow).length) faults.push('two links have one id')
  const ids = nodesOf(workflow).map(nodeIdOf)
  if (new Set(ids).size !== ids.length) faults.push('two nodes have one id')
  for (const id of linkRoutes(workflow).keys())
    if (!links.has(id)) faults.push(`link ${id} is led around points, and is none`)
  for (const view of shown(workflow)) {
    const node = nodesOf(workflow).find((one) => nodeIdOf(one) === view.id)!
    for (const { key, linkId } of allInputs(view)) {
      if (linkId === undefined) continue
      const link = links.get(linkId)
      if (link === undefined) faults.push(`input ${key} of ${view.id}: no link ${linkId}`)
      else if (link.targetId !== view.id) faults.push(`link ${linkId} ends elsewhere`)
      if (slotOfInput(node, key) < 0) faults.push(`input ${key} of ${view.id} is not listed`)
    }
  }
  return faults
}
