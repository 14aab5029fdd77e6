/** Clusters given to peers: the one that keeps most waiting first, each where it is done first. */
import { ANOTHER_PEER_MS, type Clustering } from './clusters.ts'
import { createSum, loadMs, type ModelLoad, meanOf, type PeerTimes } from './cost.ts'
import type { Unit, UnitInput } from './group.ts'
import { memoized } from './memoized.ts'
import type { Peer } from './peers.ts'
import type { Problem } from './schedule.ts'

interface Cluster {
  readonly units: Unit[]
  able: bigint
  computeMs: PeerTimes
  readonly loads: Map<string, ModelLoad>
  resultBytes: number
  /** From other clusters, or made already. */
  readonly inputs: UnitInput[]
  readonly before: Set<number>
  readonly after: Set<number>
}

/**
 * List scheduling: clusters by what they and all that follows them take, each to the able peer
 * on which it ends first; among equals to the peer that comes first.
 * @returns by unit the index of its peer.
 */
export function assign(problem: Problem, clustering: Clustering): Int32Array {
  const clusters = clustersOf(problem, clustering)
  const peerOf = new Int32Array(problem.units.length).fill(-1)
  const peersAmong = memoized((able: bigint) =>
    problem.peers.list.filter(({ bit }) => (able & bit) !== 0n),
  )
  const state: State = {
    readyMs: Float64Array.from(problem.peers.list, ({ waitMs }) => waitMs),
    moreMs: new Float64Array(problem.peers.list.length).fill(ANOTHER_PEER_MS),
    loaded: problem.peers.list.map(() => new Set()),
    endMs: new Map(),
    peerOf,
  }
  for (const id of byUrgency(clusters)) {
    const cluster = clusters.get(id)!
    let inputsMs = 0
    for (const source of cluster.before) inputsMs = Math.max(inputsMs, state.endMs.get(source)!)
    let best: { peer: Peer; endMs: number; judgedMs: number } | undefined
    const loads = [...cluster.loads.values()]
    for (const peer of peersAmong(cluster.able)) {
      const moreMs = state.moreMs[peer.index]!
      const startMs = Math.max(inputsMs, state.readyMs[peer.index]!)
      // Most peers are too slow or too busy whatever they have to load and to fetch.
      const leastMs = startMs + cluster.computeMs[peer.index]! + moreMs
      if (best !== undefined && leastMs >= best.judgedMs) continue
      const endMs = startMs + occupiedMs(problem, cluster, loads, peer, state)
      const judgedMs = endMs + moreMs
      if (best === undefined || judgedMs < best.judgedMs) best = { peer, endMs, judgedMs }
    }
    const { peer, endMs } = best!
    state.moreMs[peer.index] = 0
    for (const { index } of cluster.units) peerOf[index] = peer.index
    state.readyMs[peer.index] = endMs
    state.endMs.set(id, endMs)
    for (const key of cluster.loads.keys()) state.loaded[peer.index]!.add(key)
  }
  return peerOf
}

interface State {
  /** By peer: until when it is busy. */
  readonly readyMs: Float64Array
  /** By peer: what must be gained to use it, nothing where it takes part already. */
  readonly moreMs: Float64Array
  /** By peer: the models that clusters placed there load. */
  readonly loaded: readonly Set<string>[]
  readonly endMs: Map<number, number>
  readonly peerOf: Int32Array
}

/** How long a cluster would keep a peer: computing, loading, and bringing values there and back. */
function occupiedMs(
  { peers, heldMs }: Problem,
  cluster: Cluster,
  loads: readonly ModelLoad[],
  peer: Peer,
  state: State,
): number {
  let ms = cluster.computeMs[peer.index]!
  for (const load of loads) if (!state.loaded[peer.index]!.has(load.key)) ms += loadMs(peer, load)
  for (const input of cluster.inputs) {
    if (input.from === undefined) ms += heldMs(input, peer)
    else ms += peers.transferMs(peers.list[state.peerOf[input.from]!]!, peer, input.bytes)
  }
  if (cluster.resultBytes > 0) ms += peers.transferMs(peer, peers.list[0]!, cluster.resultBytes)
  return ms
}

function clustersOf(problem: Problem, clustering: Clustering): Map<number, Cluster> {
  const clusters = new Map<number, Cluster>()
  for (const unit of problem.units) {
    const id = clustering[unit.index]!
    const cost = problem.cost(unit)
    const cluster = clusters.get(id) ?? empty()
    clusters.set(id, cluster)
    cluster.units.push(unit)
    cluster.able &= problem.able[unit.index]!
    for (const load of cost.loads) cluster.loads.set(load.key, load)
    cluster.resultBytes += cost.resultBytes
    for (const input of unit.inputs) {
      const source = input.from === undefined ? undefined : clustering[input.from]!
      if (source === id) continue
      cluster.inputs.push(input)
      if (source !== undefined) cluster.before.add(source)
    }
  }
  const sum = createSum()
  for (const [id, cluster] of clusters) {
    cluster.computeMs = sum(cluster.units.map((unit) => problem.cost(unit).computeMs))
    for (const source of cluster.before) clusters.get(source)!.after.add(id)
  }
  return clusters
}

function empty(): Cluster {
  return {
    units: [],
    able: -1n,
    computeMs: new Float64Array(),
    loads: new Map(),
    resultBytes: 0,
    inputs: [],
    before: new Set(),
    after: new Set(),
  }
}

/** By the longest way to an end that begins with them; each after those it depends on. */
function byUrgency(clusters: ReadonlyMap<number, Cluster>): number[] {
  const order = inOrder(clusters)
  const wayMs = new Map<number, number>()
  const mean = memoized(meanOf)
  for (const id of order.toReversed()) {
    const { computeMs, after } = clusters.get(id)!
    let following = 0
    for (const next of after) following = Math.max(following, wayMs.get(next)!)
    wayMs.set(id, following + mean(computeMs))
  }
  const place = new Map(order.map((id, index) => [id, index]))
  // What takes no time at all stays behind what it depends on.
  return order.toSorted((a, b) => wayMs.get(b)! - wayMs.get(a)! || place.get(a)! - place.get(b)!)
}

/** Each after those it depends on (Kahn's algorithm). */
function inOrder(clusters: ReadonlyMap<number, Cluster>): number[] {
  const waitingFor = new Map([...clusters].map(([id, { before }]) => [id, before.size]))
  const order = [...clusters.keys()].filter((id) => waitingFor.get(id) === 0)
  for (const id of order) {
    for (const next of clusters.get(id)!.after) {
      const left = waitingFor.get(next)! - 1
      waitingFor.set(next, left)
      if (left === 0) order.push(next)
    }
  }
  return order
}
