/** Linking without a pointer: a socket's name opens the list of what fits it. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import type { Workflow } from '../../state/editor/document.ts'
import { nodesOf } from '../../state/editor/document.ts'
import { connect, removeLinks } from '../../state/editor/edit-links.ts'
import { currentGraph, edit } from '../../state/editor/editor.ts'
import { canConnect } from '../../state/editor/fitting-links.ts'
import { allInputs, type InputView, type OutputView } from '../../state/editor/node-parts.ts'
import { type NodeView, nodeView } from '../../state/editor/node-view.ts'
import type { Choice } from '../../state/editor/search.ts'
import { useEditorContext } from './editor-context.ts'

const UNLINK = 'unlink'

const placeOf = (element: HTMLElement) => {
  const { left, bottom } = element.getBoundingClientRect()
  return { x: left, y: bottom + 4 }
}

/** Offers the outputs that can feed an input. */
export function useInputPicker(view: NodeView) {
  const { definitions, pick } = useEditorContext()
  return (input: InputView, element: HTMLElement) => {
    const workflow = currentGraph()
    const to = { nodeId: view.id, key: input.key }
    const sources = viewsOf(workflow, definitions).flatMap((source) =>
      source.outputs
        .map(({ slot, name }) => ({ from: { nodeId: source.id, slot }, name }))
        .filter(({ from }) => canConnect(workflow, from, to, definitions))
        .map(({ from, name }) => ({ from, choice: choiceOf(source, name, String(from.slot)) })),
    )
    const unlink: Choice[] =
      input.linkId === undefined ? [] : [{ id: UNLINK, label: 'Take the link away' }]
    pick({
      label: `What feeds ${input.label || input.type} of ${view.title}`,
      at: placeOf(element),
      choices: [...unlink, ...sources.map(({ choice }) => choice)],
      onCancel: () => element.focus(),
      onChoose: (id) => {
        const source = sources.find(({ choice }) => choice.id === id)
        edit((now) =>
          source === undefined
            ? removeLinks(now, new Set([input.linkId ?? '']))
            : connect(now, source.from, to, definitions),
        )
        element.focus()
      },
    })
  }
}

/** Offers the inputs that an output can feed. */
export function useOutputPicker(view: NodeView) {
  const { definitions, pick } = useEditorContext()
  return (output: OutputView, element: HTMLElement) => {
    const workflow = currentGraph()
    const from = { nodeId: view.id, slot: output.slot }
    const targets = viewsOf(workflow, definitions).flatMap((target) =>
      allInputs(target)
        .map(({ key, label, type }) => ({ to: { nodeId: target.id, key }, name: label || type }))
        .filter(({ to }) => canConnect(workflow, from, to, definitions))
        .map(({ to, name }) => ({ to, choice: choiceOf(target, name, to.key) })),
    )
    pick({
      label: `What ${output.name} of ${view.title} feeds`,
      at: placeOf(element),
      choices: targets.map(({ choice }) => choice),
      onCancel: () => element.focus(),
      onChoose: (id) => {
        const target = targets.find(({ choice }) => choice.id === id)
        if (target) edit((now) => connect(now, from, target.to, definitions))
        element.focus()
      },
    })
  }
}

function viewsOf(workflow: Workflow, definitions: NodeDefinitions): NodeView[] {
  return nodesOf(workflow).map((node) => nodeView(node, workflow, definitions))
}

const choiceOf = ({ id, title }: NodeView, name: string, key: string): Choice => ({
  id: `${id} ${key}`,
  label: `${title}: ${name}`,
  detail: `node ${id}`,
})
