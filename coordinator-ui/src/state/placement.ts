/**
 * Where a prompt is to run: anywhere, or on one machine, and what becomes of it while that machine
 * cannot. Pure.
 */
import type { JsonObject } from '@comfymesh/protocol/json'
import type { PlanOptions } from '@comfymesh/protocol/plan'
import type { NodeDefinition, NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'

export type Fallback = PlanOptions['fallback']

export interface Placement {
  readonly peerId: string
  readonly fallback: Fallback
}

/**
 * What `extra_data` says of it to the planner.
 * @param wish undefined for anywhere, wherever it is done first.
 */
export function planOptionsFor(
  wish: Placement | undefined,
  prompt: Prompt,
  definitions: NodeDefinitions,
): JsonObject {
  if (wish === undefined) return {}
  const bound = Object.entries(prompt).filter(
    ([, { class_type }]) => !readsUpload(definitions[class_type]),
  )
  const affinity = Object.fromEntries(bound.map(([nodeId]) => [nodeId, wish.peerId]))
  return { comfymesh: { affinity, fallback: wish.fallback } }
}

/** A picture that was uploaded lies on the machine of this page, and is read there. */
function readsUpload(definition: NodeDefinition | undefined): boolean {
  const { required = {}, optional = {} } = definition?.input ?? {}
  return [...Object.values(required), ...Object.values(optional)].some(([, options = {}]) =>
    Object.entries(options).some(([name, value]) => /_upload$/.test(name) && value === true),
  )
}

/** `Runs on tower, or asks`. @param name of the machine. */
export function placementText(wish: Placement | undefined, name: string): string {
  return wish === undefined ? 'Runs anywhere' : `Runs on ${name}${otherwise[wish.fallback].short}`
}

/** What may become of a prompt whose machine cannot run it. */
export const otherwise: {
  readonly [fallback in Fallback]: { readonly short: string; readonly label: string }
} = {
  ask: { short: ', or asks', label: 'Ask me' },
  auto: { short: ', or elsewhere', label: 'Run it elsewhere' },
  none: { short: ' only', label: 'Fail' },
}
