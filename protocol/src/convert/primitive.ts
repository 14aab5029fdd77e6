/**
 * The frontend's PrimitiveNode: a value that is written into the widgets that it is linked
 * to. It is no node of a prompt, unlike PrimitiveInt and its like.
 */
import type { JsonValue } from '../json.ts'
import type { InputSpec } from '../workflow.ts'
import type { GraphInstance, NodeInstance } from './expand.ts'
import type { Widget } from './node-layout.ts'
import { promotedWidgets } from './promoted-widgets.ts'
import { settingsOf, typeOf } from './widget-types.ts'

/** A property of the node: texts in its value are to be replaced, as in file names. */
const REPLACES_TEXT = 'Run widget replace on values'

/** Writes the value of each primitive into its widgets; muted ones count as well. */
export function applyPrimitives(
  nodes: readonly NodeInstance[],
  replaced: (text: string) => string,
): void {
  for (const node of nodes) {
    if (node.node.type !== 'PrimitiveNode' || node.kind !== 'virtual') continue
    const { widgetValues, properties } = node.node
    const value = Array.isArray(widgetValues) ? widgetValues[0] : undefined
    const widgets = linkedWidgets(node.within, node.node.id)
    const [first] = widgets
    if (value === undefined || first === undefined) continue
    const fitted = fitNumber(value, mergeNumbers(first.spec, widgets))
    const text = typeof fitted === 'string' && properties[REPLACES_TEXT] === true
    for (const widget of widgets) {
      widget.value = text ? replaced(fitted) : fitNumber(fitted, widget.spec)
    }
  }
}

/** The widgets at the other ends of a node's links; a reroute passes none on. */
function linkedWidgets({ graph, nodes }: GraphInstance, originId: string): Widget[] {
  return (graph.linksFrom.get(originId) ?? []).flatMap((link) => {
    const target = nodes.get(link.targetId)
    const slot = target?.layout.inputs.findIndex(({ linkId }) => linkId === link.id) ?? -1
    if (target === undefined || slot < 0) return []
    if (target.kind === 'subgraph') return promotedWidgets(target, slot)
    const { widget } = target.layout.inputs[slot]!
    return widget === undefined ? [] : [widget]
  })
}

interface NumberRange {
  readonly min: number
  readonly max: number
  readonly step: number
}

/** The range that suits every number widget of the first one's type, as far as there is one. */
function mergeNumbers(first: InputSpec, widgets: readonly Widget[]): InputSpec {
  const [type] = first
  if (type !== 'INT' && type !== 'FLOAT') return first
  let merged = rangeOf(first)
  for (const { spec } of widgets) {
    const other = rangeOf(spec)
    if (spec[0] !== type || merged.min > other.max || merged.max < other.min) continue
    merged = {
      min: Math.max(merged.min, other.min),
      max: Math.min(merged.max, other.max),
      step: leastCommonMultiple(merged.step, other.step),
    }
  }
  return [type, { ...settingsOf(first), ...merged }]
}

function rangeOf(spec: InputSpec): NumberRange {
  const { min, max, step } = settingsOf(spec)
  return {
    min: Number(min ?? Number.NEGATIVE_INFINITY),
    max: Number(max ?? Number.POSITIVE_INFINITY),
    step: Number(step ?? (typeOf(spec) === 'INT' ? 1 : 0.5)) || 1,
  }
}

/** As the number's widget would read, round and bound it; what is no number stays. */
function fitNumber(given: JsonValue, spec: InputSpec): JsonValue {
  const type = typeOf(spec)
  const isDigits = typeof given === 'string' && given.trim() !== ''
  const value = isDigits ? Number(given) : given
  const isNumber = typeof value === 'number' && Number.isFinite(value)
  if (!isNumber || (type !== 'INT' && type !== 'FLOAT')) return given
  const { min, max, step } = rangeOf(spec)
  const bound = (number: number) => Math.min(max, Math.max(min, number))
  if (type === 'INT') {
    const offset = Number.isFinite(min) ? min % step : 0
    return Math.round((bound(value) - offset) / step) * step + offset
  }
  const { round } = settingsOf(spec)
  const precision = Math.max(0, -Math.floor(Math.log10(step)))
  const unit = typeof round === 'number' && round > 0 ? round : 10 ** -precision
  return Number(bound(Math.round(value / unit) * unit).toFixed(Math.min(precision, 20)))
}

function leastCommonMultiple(one: number, other: number): number {
  let [a, b] = [one, other]
  // Steps below one are no multiples of each other in binary, so a remainder is cut off.
  while (b > 1e-9) [a, b] = [b, a % b]
  return (one * other) / a
}
