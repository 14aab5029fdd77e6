/**
 * What work takes on each peer: computing as it was measured there, or else on another peer
 * and scaled by how the two compare, or else by the operations it takes; and loading models.
 */
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { Unit, Units } from './group.ts'
import type { Guess } from './guess.ts'
import { estimateNodeMs, type LearnedTimes, median } from './learned-times.ts'
import { memoized } from './memoized.ts'
import { distinct, type MeantModels, type ModelUse } from './model-use.ts'
import type { NodeMeasure } from './node-work.ts'
import type { Peer, Peers } from './peers.ts'

/** A model file, or a part of one, as it is loaded. */
export interface ModelLoad {
  readonly key: string
  /** Content identity; undefined while no catalog lists it. */
  readonly id: string | undefined
  readonly bytes: number
}

/** Milliseconds by peer; never changed, so what is alike shares one. */
export type PeerTimes = Float64Array

/** A unit on every peer. */
export interface UnitCost {
  readonly computeMs: PeerTimes
  /** The peers on which work of this kind was measured, as bits; on others the time is a guess. */
  readonly measured: bigint
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
  readonly guesses: ReadonlyMap<NodeId, Guess>
  /** Learned from jobs that ran, by this peer for itself and for others, or told by those. */
  readonly times: LearnedTimes
  /** What they are learned for. */
  readonly works: ReadonlyMap<NodeId, NodeMeasure>
}

export function unitCosts(input: CostInput): (unit: Unit) => UnitCost {
  const measuredOf = measuredKinds(input)
  const nodeCost = nodeCosts(input, measuredOf)
  const measuredAt = measuredPeers(input, measuredOf)
  const sum = createSum()
  const withLoaders = memoized((times: PeerTimes) =>
    memoized((count: number) => times.map((ms) => ms + count * LOADER_MS)),
  )
  const loadOf = memoized((use: ModelUse) => modelLoad(use, input.models))
  const costs = input.units.list.map(({ nodes, loaders }): UnitCost => {
    const computeMs = withLoaders(sum(nodes.map(nodeCost)))(loaders.length)
    const uses = distinct(nodes.flatMap((id) => input.uses.get(id)!))
    const loads = uses.map(loadOf)
    const measured = nodes.map(measuredAt).reduce((all, bits) => all & bits)
    return { computeMs, measured, loads, resultBytes: resultBytes(nodes, input.units) }
  })
  return (unit) => costs[unit.index]!
}

/** Some milliseconds on any machine: whether it was measured makes no difference to a plan. */
const LIGHT_GIGAOPS = 1

/** Reading a header and making a handle. */
const LOADER_MS = 0.1

/** Adds times peer by peer, the same ones only once: most parts of a large prompt are alike. */
export function createSum(): (times: readonly PeerTimes[]) => PeerTimes {
  const plus = memoized((one: PeerTimes) =>
    memoized((other: PeerTimes) => one.map((ms, peer) => ms + other[peer]!)),
  )
  return (times) => times.reduce((sum, one) => plus(sum)(one))
}

/** What a time is on the average peer. */
export function meanOf(times: PeerTimes): number {
  return times.reduce((sum, ms) => sum + ms, 0) / times.length
}

function modelLoad({ name, share }: ModelUse, models: MeantModels): ModelLoad {
  const model = models.find(name)
  const bytes = (model?.sizeBytes ?? 0) * share
  return { key: `${share} ${name}`, id: model?.id, bytes }
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
function nodeCosts({ peers, uses, guesses, works }: CostInput, measuredOf: MeasuredOf) {
  const known = new Map<string, PeerTimes>()
  return (id: NodeId): PeerTimes => {
    const { gigaOps, plainMs, steps } = guesses.get(id)!
    const { classType, model, work } = works.get(id)!
    const [use] = uses.get(id)!
    const key = `${classType} ${work} ${steps} ${gigaOps} ${plainMs} ${use?.name} ${model}`
    const found = known.get(key)
    if (found !== undefined) return found
    const { own, elsewhereMs = (peer) => plainMs + (gigaOps * 1000) / peer.gflops } = measuredOf(id)
    const made = Float64Array.from(peers.list, (peer) => own.get(peer) ?? elsewhereMs(peer))
    known.set(key, made)
    return made
  }
}

/** The peers that have measured a node of this kind; all of them where it is too light to matter. */
function measuredPeers({ peers, guesses }: CostInput, measuredOf: MeasuredOf) {
  const everyone = bitsOf(peers.list)
  return (id: NodeId): bigint =>
    guesses.get(id)!.gigaOps < LIGHT_GIGAOPS ? everyone : measuredOf(id).peers
}

/** What was measured of a kind of node. */
interface Measured {
  /** Milliseconds, by who measured them. */
  readonly own: ReadonlyMap<Peer, number>
  /** The same peers, as bits. */
  readonly peers: bigint
  /** What that means for another peer; undefined where nobody measured. */
  readonly elsewhereMs: ((peer: Peer) => number) | undefined
}

type MeasuredOf = (id: NodeId) => Measured

function measuredKinds({ peers, times, works, guesses }: CostInput): MeasuredOf {
  const known = new Map<string, Measured>()
  return (id) => {
    const { classType, model, work } = works.get(id)!
    const { gigaOps, plainMs } = guesses.get(id)!
    // It runs no network: the guess is good, and all machines do it alike.
    const guessMs = gigaOps === 0 ? plainMs : undefined
    const key = `${classType} ${work} ${model} ${guessMs}`
    const found = known.get(key)
    if (found !== undefined) return found
    const own = new Map<Peer, number>()
    for (const peer of peers.list) {
      const kind = { peerId: peer.peerId, classType, model, work }
      const ms = estimateNodeMs(times, kind, guessMs)
      if (ms !== undefined) own.set(peer, ms)
    }
    const speed = ({ gflops }: Peer) => (guessMs === undefined ? gflops : 1)
    const made = { own, peers: bitsOf([...own.keys()]), elsewhereMs: scaled(own, speed) }
    known.set(key, made)
    return made
  }
}

/** @param speed of a peer; the time on another one is as much shorter as that one is faster. */
function scaled(
  own: ReadonlyMap<Peer, number>,
  speed: (peer: Peer) => number,
): Measured['elsewhereMs'] {
  if (own.size === 0) return undefined
  const usual = median([...own].map(([peer, ms]) => ms * speed(peer)))
  return (peer) => usual / speed(peer)
}

const bitsOf = (peers: readonly Peer[]) => peers.reduce((bits, { bit }) => bits | bit, 0n)
