/** A primitive is a widget of the nodes that it feeds: what it becomes as it is linked and unlinked. */
import { objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { listOf } from './document.ts'
import type { WidgetView } from './node-parts.ts'
import type { NodeView } from './node-view.ts'
import type { WidgetControl } from './widget-control.ts'

/** As ComfyUI's frontend calls the output of one that feeds nothing. */
export const UNLINKED_OUTPUT = { name: 'connect to widget input', type: '*' } as const

/** Whether a primitive can be the widget of that input: of the same kind as those it is already. */
export function suits(primitive: NodeView, target: NodeView, inputKey: string): boolean {
  const wanted = target.widgets.find(({ input }) => input?.key === inputKey)
  if (wanted === undefined || wanted.control.kind === 'kept') return false
  const [own] = primitive.widgets
  return own === undefined || isAlike(own.control, wanted.control)
}

function isAlike(one: WidgetControl, other: WidgetControl): boolean {
  if (one.kind !== 'choice' || other.kind !== 'choice') return one.kind === other.kind
  return JSON.stringify(one.options) === JSON.stringify(other.options)
}

/** The primitive as the widget of that name; a value that it had and that fits stays. */
export function asWidget(
  node: JsonObject,
  { name, value, control, input }: WidgetView,
): JsonObject {
  const [output, ...others] = listOf(node.outputs)
  const type = input?.type ?? '*'
  const values = listOf(node.widgets_values)
  const kept = fits(values[0], value) ? values[0] : value
  return {
    ...node,
    outputs: [{ ...objectOf(output), name: type, type, widget: { name } }, ...others],
    widgets_values: [kept ?? null, ...(values.length > 1 ? values.slice(1) : afterRun(control))],
  }
}

/** Numbers and choices may become others after each run; a choice by a filter, too. */
function afterRun({ kind }: WidgetControl): JsonValue[] {
  if (kind === 'choice') return ['fixed', '']
  return kind === 'integer' || kind === 'decimal' ? ['fixed'] : []
}

const fits = (kept: JsonValue | undefined, value: JsonValue | undefined): boolean =>
  kept !== undefined &&
  (typeof kept === typeof value || [kept, value].every((one) => Number.isFinite(Number(one))))

/** The node as it is when the last of its links is gone. */
export function released(node: JsonObject): JsonObject {
  const [output, ...others] = listOf(node.outputs)
  const { widget: _, ...rest } = objectOf(output)
  return { ...node, outputs: [{ ...rest, ...UNLINKED_OUTPUT }, ...others] }
}
