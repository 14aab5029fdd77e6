/**
 * Which peers can run a node, and in words why the others cannot: classes, models and their
 * content, options, files of the user, memory, and where the user wants it.
 */
import type { JsonValue } from '@comfymesh/protocol/json'
import { isLink, type NodeDefinition, type NodeId } from '@comfymesh/protocol/workflow'
import type { Bindings } from './affinity.ts'
import { typeName } from './definitions.ts'
import { declaredInputs, type Graph, usedInputs } from './graph.ts'
import type { Unit, Units } from './group.ts'
import type { Guess } from './guess.ts'
import { memoized } from './memoized.ts'
import { isFileName, type MeantModels, type ModelUse, optionInputs } from './model-use.ts'
import { type Peer, type Peers, plainName } from './peers.ts'
import { optionsOf } from './validate-input.ts'

export interface Abilities {
  /** The peers that can run all of a unit, as bits. */
  able(unit: Unit): bigint
  /** Why a peer cannot run a node; undefined when it can. */
  lack(id: NodeId, peer: Peer): string | undefined
  /** What a device must hold while the node runs; 0 where no model's size is known. */
  memoryBytes(id: NodeId): number
}

export interface AbilitiesInput {
  readonly units: Units
  readonly peers: Peers
  readonly models: MeantModels
  readonly uses: ReadonlyMap<NodeId, readonly ModelUse[]>
  readonly guesses: ReadonlyMap<NodeId, Guess>
  readonly bindings: Bindings
}

export function abilitiesOf(input: AbilitiesInput): Abilities {
  const { units, peers, bindings } = input
  const requirement = requirements(units.graph)
  const lacks = memoized((key: string) => requirementLacks(requirement.example(key), input))
  const memory = memoized((id: NodeId) => memoryNeed(id, input))
  const fitting = memoized((bytes: number) => bitsOf(peers, (peer) => bytes <= peer.memoryBytes))
  const present = bitsOf(peers, ({ absence }) => absence === undefined)
  const ableNode = memoized(
    (id: NodeId) =>
      present & lacks(requirement.key(id)).able & fitting(memory(id)) & bindings.allowed(id),
  )
  const ableAll = (ids: readonly NodeId[]) => ids.reduce((bits, id) => bits & ableNode(id), present)
  return {
    able: ({ nodes, loaders }) => ableAll(nodes) & ableAll(loaders),
    lack: (id, peer) => {
      if (peer.absence !== undefined) return peer.absence
      const reason = lacks(requirement.key(id)).reasons[peer.index]
      if (reason !== undefined) return reason
      if (memory(id) > peer.memoryBytes)
        return `needs ${gigabytes(memory(id))}, has ${gigabytes(peer.memoryBytes)}`
      return bindings.allowed(id) & peer.bit ? undefined : bindings.reason(id)
    },
    memoryBytes: memory,
  }
}

/** `6.1 GB`, in powers of 1024. */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`
}

export function bitsOf({ list }: Peers, has: (peer: Peer) => boolean): bigint {
  return list.reduce((bits, peer) => (has(peer) ? bits | peer.bit : bits), 0n)
}

/**
 * The largest device need of a node: executors hold one network at a time where they must, so
 * what other nodes of its stage use can give way to it.
 */
function memoryNeed(id: NodeId, { uses, models, guesses, units }: AbilitiesInput): number {
  if (units.values.isLoader(id)) return 0
  const weightBytes = (uses.get(id) ?? []).reduce(
    (sum, { name, share }) => sum + (models.find(name)?.sizeBytes ?? 0) * share,
    0,
  )
  return weightBytes === 0 ? 0 : Math.ceil(weightBytes + guesses.get(id)!.activationBytes)
}

/** Nodes of one class with the same choices are able to run on the same peers. */
function requirements(graph: Graph) {
  const options = optionInputs(graph)
  const chosenOf = memoized((classType: string) => new Set(options(classType)))
  const examples = new Map<string, NodeId>()
  const key = memoized((id: NodeId) => {
    let text = graph.prompt[id]!.class_type
    const chosen = chosenOf(text)
    for (const [name, value] of usedInputs(graph, id))
      text += chosen.has(name) && !isLink(value) ? `\n${name}=${String(value)}` : `\n${name}`
    if (!examples.has(text)) examples.set(text, id)
    return text
  })
  return { key, example: (text: string) => examples.get(text)! }
}

function requirementLacks(id: NodeId, { units: { graph }, peers, models }: AbilitiesInput) {
  const known = new Map<NodeDefinition | undefined, string | undefined>()
  const reasons = peers.list.map((peer) => {
    const definition = peer.offer.definitions[graph.prompt[id]!.class_type]
    // Peers with equal definitions mostly share one object, so it is compared once.
    if (!known.has(definition)) known.set(definition, definitionLack(graph, id, definition))
    return known.get(definition) ?? choiceLack(graph, id, definition!, peer, models, peers)
  })
  return { reasons, able: bitsOf(peers, ({ index }) => reasons[index] === undefined) }
}

/** A class that is missing, or is of another version so that the node means something else there. */
function definitionLack(
  graph: Graph,
  id: NodeId,
  definition: NodeDefinition | undefined,
): string | undefined {
  const { class_type } = graph.prompt[id]!
  if (definition === undefined) return `lacks node ${class_type}`
  const meant = graph.definitions[class_type]!
  if (definition === meant) return undefined
  const declared = new Map(declaredInputs(definition))
  const meantTypes = new Map(declaredInputs(meant))
  const given = new Set(usedInputs(graph, id).map(([name]) => name))
  const isSame =
    String(definition.output) === String(meant.output) &&
    [...given].every((name) => typeName(declared.get(name)) === typeName(meantTypes.get(name))) &&
    Object.keys(definition.input.required ?? {}).every((name) => given.has(name))
  return isSame ? undefined : `has another version of node ${class_type}`
}

/** A model, an option or a file of the user that a peer does not have. */
function choiceLack(
  graph: Graph,
  id: NodeId,
  definition: NodeDefinition,
  peer: Peer,
  models: MeantModels,
  { list }: Peers,
): string | undefined {
  const { class_type, inputs } = graph.prompt[id]!
  const judged = peer.offer.judgedInputs(class_type)
  for (const [name, config] of declaredInputs(definition)) {
    const options = optionsOf(config)
    const value = inputs[name]
    if (options === undefined || value === undefined || isLink(value)) continue
    if (judged.includes(name)) {
      // What the user uploaded lies where it was uploaded; another's file of that name is another.
      if (peer.isHere || !isFileName(value)) continue
      return `the file ${value} is on ${list.find(({ isHere }) => isHere)?.name ?? 'no peer'}`
    }
    const lack = optionLack(name, value, options, peer, models)
    if (lack !== undefined) return lack
  }
  return undefined
}

function optionLack(
  name: string,
  value: JsonValue,
  options: readonly JsonValue[],
  peer: Peer,
  models: MeantModels,
): string | undefined {
  const chosen = Array.isArray(value) ? value : [value]
  const missing = chosen.find((choice) => !offers(options, choice))
  if (missing !== undefined)
    return isFileName(missing)
      ? `lacks model ${missing}`
      : `does not offer ${name} ${String(missing)}`
  const other = chosen.find((choice) => isFileName(choice) && !models.isSame(peer, choice))
  return other === undefined ? undefined : `has another file named ${String(other)}`
}

function offers(options: readonly JsonValue[], choice: JsonValue): boolean {
  if (options.includes(choice)) return true
  if (typeof choice !== 'string' || (!choice.includes('/') && !choice.includes('\\'))) return false
  return options.some(
    (option) => typeof option === 'string' && plainName(option) === plainName(choice),
  )
}
