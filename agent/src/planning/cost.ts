/**
 * What work takes on each peer: computing as it was measured there, or else on another peer
 * and scaled by how the two compare, or else by the operations it takes; and loading models.
 */
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { Unit, Units } from './group.ts'
import { distinct, type MeantModels, type ModelUse } from './model-use.ts'
import type { Peer, Peers } from './peers.ts'
import type { Work } from './work.ts'

/** What one step of a node took, learned from jobs that ran. */
export interface LearnedTime {
  readonly peerId: string
  readonly classType: string
  /** Content identity of the model that computed. */
  readonly modelId?: string
  /** Width times height times batch; absent where it was measured over all sizes. */
  readonly pixels?: number
  readonly millisecondsPerStep: number
}

/** A model file, or a part of one, as it is loaded. */
export interface ModelLoad {
  readonly key: string
  /** Content identity; undefined while no catalog lists it. */
  readonly id: string | undefined
  readonly bytes: number
}

/** A unit on every peer. Arrays are indexed by peer. */
export interface UnitCost {
  readonly computeMs: Float64Array
  readonly loads: readonly ModelLoad[]
  /** Of the pictures that go to the submitting peer when the unit runs elsewhere. */
  readonly resultBytes: number
}

/** From a solid-state disk, checked and brought to the device. */
const LOAD_BYTES_PER_MS = 1e6

export function loadMs(peer: Peer, { id, bytes }: ModelLoad): number {
  return id !== undefined && peer.residentModels.has(id) ? 0 : bytes / LOAD_BYTES_PER_MS
}

export interface CostInput {
  readonly units: Units
  readonly peers: Peers
  readonly models: MeantModels
  readonly uses: ReadonlyMap<NodeId, readonly ModelUse[]>
  readonly works: ReadonlyMap<NodeId, Work>
  readonly learned: readonly LearnedTime[]
}

export function unitCosts(input: CostInput): (unit: Unit) => UnitCost {
  const nodeCost = nodeCosts(input)
  const costs = input.units.list.map(({ nodes, loaders }): UnitCost => {
    const computeMs = new Float64Array(input.peers.list.length)
    for (const id of nodes) {
      const node = nodeCost(id)
      for (let p = 0; p < computeMs.length; p++) computeMs[p]! += node[p]!
    }
    for (let p = 0; p < computeMs.length; p++) computeMs[p]! += loaders.length * LOADER_MS
    const uses = distinct(nodes.flatMap((id) => input.uses.get(id)!))
    const loads = uses.map((use) => loadOf(use, input.models))
    return { computeMs, loads, resultBytes: resultBytes(nodes, input.units) }
  })
  return (unit) => costs[unit.index]!
}

/** Reading a header and making a handle. */
const LOADER_MS = 0.1

function loadOf({ name, share }: ModelUse, models: MeantModels): ModelLoad {
  const model = models.find(name)
  return { key: `${share} ${name}`, id: model?.id, bytes: (model?.sizeBytes ?? 0) * share }
}

/** Pictures travel encoded, at about 3 bytes a pixel. */
const RESULT_BYTES_PER_PIXEL = 3

function resultBytes(nodes: readonly NodeId[], { graph, values, extents }: Units): number {
  return nodes
    .filter((id) => graph.definitions[graph.prompt[id]!.class_type]!.output_node)
    .flatMap((id) => values.links(id).filter((link) => values.type(link) === 'IMAGE'))
    .map((link) => extents.get(link[0])!)
    .reduce(
      (sum, { width, height, batch }) => sum + width * height * batch * RESULT_BYTES_PER_PIXEL,
      0,
    )
}

/** Milliseconds of a node on each peer; nodes of equal class, model and size share one array. */
function nodeCosts({ units, peers, models, uses, works, learned }: CostInput) {
  const history = historyOf(learned)
  const known = new Map<string, Float64Array>()
  return (id: NodeId): Float64Array => {
    const classType = units.graph.prompt[id]!.class_type
    const { width, height, batch } = units.extents.get(id)!
    const pixels = width * height * batch
    const work = works.get(id)!
    const [model] = uses.get(id)!
    const modelId = model && models.find(model.name)?.id
    const key = `${classType} ${modelId} ${pixels} ${work.steps} ${work.gigaOps}`
    const found = known.get(key)
    if (found !== undefined) return found
    const size = { pixels, steps: work.steps }
    const measured = measuredMs(history(classType, modelId), peers, size)
    const made = Float64Array.from(peers.list, (peer) => {
      const guessMs = work.plainMs + (work.gigaOps * 1000) / peer.gflops
      return measured(peer) ?? guessMs
    })
    known.set(key, made)
    return made
  }
}

function historyOf(learned: readonly LearnedTime[]) {
  const byKey = new Map<string, LearnedTime[]>()
  const keyOf = (classType: string, modelId: string | undefined) => `${classType} ${modelId ?? ''}`
  for (const time of learned) {
    const key = keyOf(time.classType, time.modelId)
    const times = byKey.get(key)
    if (times === undefined) byKey.set(key, [time])
    else times.push(time)
  }
  return (classType: string, modelId: string | undefined) =>
    byKey.get(keyOf(classType, modelId)) ?? []
}

interface Size {
  readonly pixels: number
  readonly steps: number
}

/** As measured on this peer, else the median of what the other peers' times would be here. */
function measuredMs(times: readonly LearnedTime[], peers: Peers, size: Size) {
  const byPeer = new Map<string, LearnedTime[]>()
  for (const time of times) byPeer.set(time.peerId, [...(byPeer.get(time.peerId) ?? []), time])
  const own = new Map([...byPeer].map(([peerId, some]) => [peerId, nearest(some, size)]))
  const scaled = peers.list
    .flatMap(({ peerId, gflops }) => (own.has(peerId) ? [own.get(peerId)! * gflops] : []))
    .sort((a, b) => a - b)
  const median = scaled[scaled.length >> 1]
  return ({ peerId, gflops }: Peer): number | undefined =>
    own.get(peerId) ?? (median === undefined ? undefined : median / gflops)
}

/** Of the size that is nearest by ratio, scaled to the one that is asked. */
function nearest(times: readonly LearnedTime[], { pixels, steps }: Size): number {
  const distance = ({ pixels: at = pixels }: LearnedTime) => Math.abs(Math.log(at / pixels))
  const best = times.reduce((a, b) => (distance(b) < distance(a) ? b : a))
  return (best.millisecondsPerStep * steps * pixels) / (best.pixels ?? pixels)
}
