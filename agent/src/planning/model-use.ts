/** Which model files each node computes with, seen through the loaders that name them. */
import type { CatalogModel } from '@comfymesh/protocol/advertisement'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeId, NodeLink } from '@comfymesh/protocol/workflow'
import { declaredInputs, type Graph } from './graph.ts'
import { type Peer, type Peers, plainName } from './peers.ts'
import { optionsOf } from './validate-input.ts'
import type { Values } from './values.ts'

/** The model files that a prompt means, by plain name. */
export interface MeantModels {
  /** Undefined while no catalog lists it. */
  find(name: string): CatalogModel | undefined
  /** Whether the peer's file of that name is the one meant; true where nobody can tell. */
  isSame(peer: Peer, name: string): boolean
}

/**
 * Two files of one name may differ. The submitting peer's is meant; without one, that of
 * most peers, and of equally many the one whose identity sorts first.
 */
export function meantModels(peers: Peers): MeantModels {
  const known = new Map<string, CatalogModel | undefined>()
  const find = (name: string) => {
    const plain = plainName(name)
    if (!known.has(plain)) known.set(plain, meant(peers, plain))
    return known.get(plain)
  }
  return {
    find,
    isSame({ models }, name) {
      const wanted = find(name)
      const own = models?.get(plainName(name))
      return wanted === undefined || own === undefined || own.some(({ id }) => id === wanted.id)
    },
  }
}

function meant({ list }: Peers, name: string): CatalogModel | undefined {
  const here = list.find(({ isHere }) => isHere)?.models?.get(name)?.[0]
  if (here !== undefined) return here
  const offered = list.flatMap(({ absence, models }) =>
    absence === undefined ? (models?.get(name) ?? []) : [],
  )
  const count = (id: string) => offered.filter((model) => model.id === id).length
  return offered.sort((a, b) => count(b.id) - count(a.id) || (a.id < b.id ? -1 : 1))[0]
}

/** ComfyUI writes the folder of an uploaded file behind its name: `fox.png [input]`. */
const FILE_NAME = /\.\w+( \[\w+\])?$/

/** Whether a choice of a dropdown names a file; other choices are words. */
export function isFileName(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && FILE_NAME.test(value)
}

/** The names of dropdown inputs of a class. */
export function optionInputs(graph: Graph): (classType: string) => readonly string[] {
  const known = new Map<string, readonly string[]>()
  return (classType) => {
    const found =
      known.get(classType) ??
      declaredInputs(graph.definitions[classType]!)
        .filter(([, config]) => optionsOf(config) !== undefined)
        .map(([name]) => name)
    known.set(classType, found)
    return found
  }
}

/** A model file, or the part of it that a handle stands for. */
export interface ModelUse {
  /** Its plain name. */
  readonly name: string
  /** How much of the file it is. */
  readonly share: number
}

/** Of a checkpoint that holds several networks. SD 1.5's and SDXL's lie within a few percent. */
const PART_SHARES: { readonly [type: string]: number } = { MODEL: 0.8, CLIP: 0.25, VAE: 0.08 }

/**
 * The model files that each node computes with, each once, in the order of its inputs. Of a
 * loader that makes several handles (MODEL, CLIP, VAE) or changes one of several, only what
 * leads to the handle that is used counts.
 */
export function modelUses(
  graph: Graph,
  order: readonly NodeId[],
  values: Values,
): Map<NodeId, readonly ModelUse[]> {
  const optionsOfClass = optionInputs(graph)
  const uses = new Map<NodeId, readonly ModelUse[]>()
  const handleUses = new Map<string, readonly ModelUse[]>()
  const through = (link: NodeLink) => handleUses.get(`${link[0]} ${values.type(link)}`) ?? []
  for (const id of order) {
    const { class_type, inputs } = graph.prompt[id]!
    const files = optionsOfClass(class_type)
      .map((name) => inputs[name])
      .filter(isFileName)
      .map(plainName)
    const links = values.links(id).filter(([source]) => values.isLoader(source))
    uses.set(id, distinct([...links.flatMap(through), ...whole(files)]))
    if (!values.isLoader(id)) continue
    const outputs = graph.definitions[class_type]!.output.map((_, slot) => values.type([id, slot]))
    const types = new Set(outputs)
    for (const type of types) {
      const alike = links.filter((link) => values.type(link) === type)
      const upstream = (alike.length > 0 ? alike : links).flatMap(through)
      const share = types.size > 1 ? (PART_SHARES[type] ?? 1) : 1
      handleUses.set(`${id} ${type}`, distinct([...upstream, ...whole(files, share)]))
    }
  }
  return uses
}

const whole = (names: readonly string[], share = 1) => names.map((name) => ({ name, share }))

/** Equal parts once. */
export function distinct(uses: readonly ModelUse[]): readonly ModelUse[] {
  if (uses.length <= 1) return uses
  return [...new Map(uses.map((use) => [`${use.share} ${use.name}`, use])).values()]
}
