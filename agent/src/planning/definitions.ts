/** The nodes of all peers together: what a client sees, and what prompts are validated against. */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { InputSpec, NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import { inOrder, type PeerOffer, plainName } from './peers.ts'
import { optionsOf } from './validate-input.ts'

type Specs = NonNullable<NodeDefinition['input']['required']>

/** Clients ask for the union again and again, and it changes only with what the peers offer. */
let latest: { readonly of: readonly NodeDefinitions[]; readonly union: NodeDefinitions } | undefined

/**
 * The union of what the peers that can be reached offer; of one peer alone, its own.
 * @param offers the submitting peer first.
 */
export function definitionsOf(offers: readonly PeerOffer[]): NodeDefinitions {
  const submitterId = offers[0]?.advertisement.peerId ?? ''
  const present = inOrder(offers, submitterId).filter(({ absence }) => absence === undefined)
  const of = present.map(({ definitions }) => definitions)
  const isKnown = latest?.of.length === of.length && of.every((one, at) => one === latest?.of[at])
  if (!isKnown) latest = { of, union: unionOf(of, present[0]?.judgedInputs) }
  return latest!.union
}

/**
 * Every class of every peer. Of a class with different definitions the one of most peers counts,
 * of equally many the first peer's; its dropdowns list what any peer with that definition has,
 * the first peer's choices first.
 * @param offers the submitting peer first, the others in an order that does not change.
 * @param ownInputs of a class, the inputs whose choices are the first peer's alone: uploaded files
 *   of another peer are of no use to who submits here.
 */
export function unionOf(
  offers: readonly NodeDefinitions[],
  ownInputs: (classType: string) => readonly string[] = () => [],
): NodeDefinitions {
  const distinct = [...new Set(offers)]
  if (distinct.length <= 1) return distinct[0] ?? {}
  const classes = new Set(distinct.flatMap((definitions) => Object.keys(definitions)))
  return Object.fromEntries(
    [...classes].map((name) => {
      const all = offers.flatMap((definitions) => definitions[name] ?? [])
      const isFirsts = (definition: NodeDefinition) => definition === offers[0]![name]
      return [name, merged(all, (definition) => (isFirsts(definition) ? ownInputs(name) : []))]
    }),
  )
}

/**
 * @param definitions of one class, at least one, a peer each.
 * @param ownInputs whose choices are not joined with those of others.
 */
function merged(
  definitions: readonly NodeDefinition[],
  ownInputs: (first: NodeDefinition) => readonly string[],
): NodeDefinition {
  const alike = new Set(definitions)
  if (alike.size === 1) return definitions[0]!
  const versions = new Map<string, NodeDefinition[]>()
  for (const definition of definitions) {
    const key = versionOf(definition)
    versions.set(key, [...(versions.get(key) ?? []), definition])
  }
  const chosen = [...versions.values()].reduce((a, b) => (b.length > a.length ? b : a))
  const distinct = [...new Set(chosen)]
  return distinct.length === 1 ? distinct[0]! : withAllOptions(distinct, ownInputs(distinct[0]!))
}

/** What a definition means to a prompt: names and types, not the choices of its dropdowns. */
export function versionOf(definition: NodeDefinition): string {
  const types = (specs: Specs = {}) =>
    Object.entries(specs).map(([name, spec]) => [name, typeName(spec)])
  const { required, optional } = definition.input
  return JSON.stringify([types(required), types(optional), definition.output])
}

/** A type as it is compared: every dropdown is a COMBO, whatever it offers. */
export function typeName(spec: InputSpec | readonly JsonValue[] | undefined): string {
  if (spec === undefined) return ''
  return optionsOf(spec as readonly JsonValue[]) === undefined ? String(spec[0]) : 'COMBO'
}

function withAllOptions(
  definitions: readonly NodeDefinition[],
  ownInputs: readonly string[],
): NodeDefinition {
  const [first] = definitions
  const input = { ...first!.input }
  for (const part of ['required', 'optional'] as const) {
    const specs = input[part]
    if (specs === undefined) continue
    const alike = definitions.map((definition) => definition.input[part]!)
    input[part] = Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        ownInputs.includes(name)
          ? spec
          : withOptions(
              spec,
              alike.map((other) => other[name]!),
            ),
      ]),
    )
  }
  return { ...first!, input }
}

/** Both of ComfyUI's spellings of a dropdown keep theirs. */
function withOptions(spec: InputSpec, alike: readonly InputSpec[]): InputSpec {
  if (typeName(spec) !== 'COMBO') return spec
  const all = new Map<JsonValue, JsonValue>()
  for (const other of alike) {
    for (const option of optionsOf(other as readonly JsonValue[]) ?? []) {
      const key = typeof option === 'string' ? plainName(option) : option
      if (!all.has(key)) all.set(key, option)
    }
  }
  const options = [...all.values()]
  if (Array.isArray(spec[0])) return [options, ...(spec.slice(1) as [JsonObject?])] as InputSpec
  return [spec[0], { ...spec[1], options }]
}
