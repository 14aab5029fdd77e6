/** The sockets of a node: where links end, and their names, which open the choice of what to link. */
import { Handle, Position } from '@xyflow/react'
import { allInputs, type InputView, type OutputView } from '../../state/editor/node-parts.ts'
import type { NodeView } from '../../state/editor/node-view.ts'
import { colourOf } from '../../state/graph.ts'
import { useEditorContext } from './editor-context.ts'
import { useInputPicker, useOutputPicker } from './link-pickers.ts'

export const inputHandle = (key: string) => `in ${key}`
export const outputHandle = (slot: number) => `out ${slot}`

interface SocketProps<Socket> {
  readonly view: NodeView
  readonly problem?: string | undefined
  readonly input?: Socket
}

export function Input({ view, input, problem }: SocketProps<InputView | undefined>) {
  const pick = useInputPicker(view)
  const { isReadOnly } = useEditorContext()
  if (input === undefined) return <span />
  const state = input.linkId === undefined ? 'not linked' : 'linked'
  return (
    <span className="socket" data-optional={input.isOptional} data-wrong={problem !== undefined}>
      <InputHandle input={input} />
      <button
        type="button"
        className="socket-name"
        disabled={isReadOnly}
        title={input.tooltip ?? input.type}
        aria-label={`Input ${input.label || input.type} of ${view.title}, ${state}. Choose what feeds it.`}
        onClick={({ currentTarget }) => pick(input, currentTarget)}
      >
        {input.label || input.type}
      </button>
    </span>
  )
}

/** The socket beside a widget: a link there takes the place of the value. */
export function WidgetSocket({
  view,
  input,
}: {
  readonly view: NodeView
  readonly input: InputView
}) {
  const pick = useInputPicker(view)
  const { isReadOnly } = useEditorContext()
  return (
    <span className="widget-socket" data-linked={input.linkId !== undefined}>
      <InputHandle input={input} />
      {input.linkId !== undefined && (
        <button
          type="button"
          className="socket-name"
          disabled={isReadOnly}
          aria-label={`Input ${input.label} of ${view.title}, linked. Choose what feeds it.`}
          onClick={({ currentTarget }) => pick(input, currentTarget)}
        >
          {input.label}
        </button>
      )}
    </span>
  )
}

function InputHandle({ input }: { readonly input: InputView }) {
  return (
    <Handle
      type="target"
      position={Position.Left}
      id={inputHandle(input.key)}
      data-linked={input.linkId !== undefined}
      style={{ ['--socket' as string]: colourOf(input.type) }}
    />
  )
}

export function Output({
  view,
  output,
}: {
  readonly view: NodeView
  readonly output: OutputView | undefined
}) {
  const pick = useOutputPicker(view)
  const { isReadOnly } = useEditorContext()
  if (output === undefined) return <span />
  return (
    <span className="socket socket-output">
      <button
        type="button"
        className="socket-name"
        disabled={isReadOnly}
        title={output.type}
        aria-label={`Output ${output.name} of ${view.title}. Choose what it feeds.`}
        onClick={({ currentTarget }) => pick(output, currentTarget)}
      >
        {output.name}
      </button>
      <Handle
        type="source"
        position={Position.Right}
        id={outputHandle(output.slot)}
        data-linked={output.isLinked}
        style={{ ['--socket' as string]: colourOf(output.type) }}
      />
    </span>
  )
}

/** Links of a collapsed node end at its title. */
export function HiddenSockets({ view }: { readonly view: NodeView }) {
  return (
    <div className="hidden-sockets">
      {allInputs(view).map((input) => (
        <InputHandle key={input.key} input={input} />
      ))}
      {view.outputs.map(({ slot, type }) => (
        <Handle
          key={slot}
          type="source"
          position={Position.Right}
          id={outputHandle(slot)}
          style={{ ['--socket' as string]: colourOf(type) }}
        />
      ))}
    </div>
  )
}
