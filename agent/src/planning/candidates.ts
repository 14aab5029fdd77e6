/** The plans that are worth considering, and the choice between them. */
import { bitsOf } from './abilities.ts'
import { assign } from './assign.ts'
import type { Situation } from './basis.ts'
import {
  alike,
  branches,
  type ClusterInput,
  cheapestCut,
  type Edge,
  heaviestFirst,
} from './clusters.ts'
import { loadMs, type ModelLoad, meanOf, type PeerTimes } from './cost.ts'
import type { Unit, UnitInput, Units } from './group.ts'
import { memoized } from './memoized.ts'
import type { Peer } from './peers.ts'
import { seconds } from './place.ts'
import { type Problem, type Schedule, scheduleOf } from './schedule.ts'

export interface Candidate {
  /** By unit the index of its peer. */
  readonly peerOf: ArrayLike<number>
  readonly schedule: Schedule
  readonly reason: string
}

/**
 * More cuts must save this part of the time. Times that were learned scatter by about a tenth,
 * the two sums that are compared by no more than a fifth; below that it might as well take longer.
 */
const CLEARLY = 0.8
/** And this part where the speeds of the machines are guesses, which may be wrong by half. */
const CLEARLY_BY_GUESS = 0.5
/** And this much in absolute terms: what nobody would notice is not worth more machines. */
const NOTICEABLE_MS = 500

/** The best plan. Every unit has a peer that can run it. */
export function candidatesOf({ problem, units, bindings }: Situation): Candidate {
  const { units: list, peers } = problem
  const everyone = bitsOf(peers, () => true)
  const ableOfAll = problem.able.reduce((all, able) => all & able, everyone)
  const edges = heaviestFirst(edgesBetween(units))
  const input: ClusterInput = { units: list, edges, able: problem.able, meanMs: meanTimes(problem) }
  const isBound = units.order.some((id) => bindings.key(id) !== undefined)
  const simple =
    ableOfAll === 0n
      ? split(problem, cheapestCut(input), whyCut(isBound))
      : together(problem, ableOfAll)
  if (peers.list.length === 1 || list.length === 1) return simple
  const isAlike = problem.able.every((able) => able === problem.able[0])
  const parallel = split(problem, branches(input), 'parts run at the same time')
  const faster = [
    ...(isClearlyFaster(parallel, simple, CLEARLY) ? [parallel] : []),
    ...(isAlike ? [] : whereFast(problem, input, simple)),
  ].reduce((a, b) => (b.schedule.finishMs < a.schedule.finishMs ? b : a), simple)
  if (faster === simple) return simple
  return {
    ...faster,
    reason: `${faster.reason}, which ends clearly earlier: ${times(faster, simple)}`,
  }
}

/** Parts of different kinds, each where that kind is fast, if that is clearly better. */
function whereFast(problem: Problem, input: ClusterInput, simple: Candidate): Candidate[] {
  const apart = split(problem, alike(input), 'its parts run where they are fast')
  const isKnown = [apart, simple].every((candidate) => isMeasured(problem, candidate))
  return isClearlyFaster(apart, simple, isKnown ? CLEARLY : CLEARLY_BY_GUESS) ? [apart] : []
}

/** Whether each unit's time was measured on its peer. */
function isMeasured({ units, peers, cost }: Problem, { peerOf }: Candidate): boolean {
  return units.every((unit) => (cost(unit).measured & peers.list[peerOf[unit.index]!]!.bit) !== 0n)
}

function isClearlyFaster(one: Candidate, other: Candidate, part: number): boolean {
  const [oneMs, otherMs] = [one.schedule.finishMs, other.schedule.finishMs]
  return oneMs <= otherMs * part && otherMs - oneMs >= NOTICEABLE_MS
}

function times({ schedule }: Candidate, simple: Candidate): string {
  return `${seconds(schedule.finishMs)} instead of ${seconds(simple.schedule.finishMs)}`
}

function split(problem: Problem, clustering: readonly number[], reason: string): Candidate {
  const peerOf = assign(problem, clustering)
  return { peerOf, schedule: scheduleOf(problem, peerOf), reason }
}

const whyCut = (isBound: boolean) =>
  `${isBound ? 'no peer may or can run everything' : 'no peer can run everything'}, so it is cut where the fewest bytes travel`

/** The peer that ends everything first, among equals the first. */
function together(problem: Problem, able: bigint): Candidate {
  const totals = totalsOf(problem)
  let best: { peer: Peer; finishMs: number } | undefined
  for (const peer of problem.peers.list) {
    if ((able & peer.bit) === 0n) continue
    const finishMs = aloneMs(problem, totals, peer)
    if (best === undefined || finishMs < best.finishMs) best = { peer, finishMs }
  }
  const peerOf = problem.units.map(() => best!.peer.index)
  const reason =
    problem.units.length === 0
      ? 'nothing has to run'
      : `${best!.peer.name} runs everything, so nothing travels`
  return { peerOf, schedule: scheduleOf(problem, peerOf), reason }
}

interface Totals {
  readonly computeMs: PeerTimes
  readonly loads: readonly ModelLoad[]
  readonly held: readonly UnitInput[]
  readonly resultBytes: number
}

function totalsOf({ units, peers, cost }: Problem): Totals {
  const computeMs = new Float64Array(peers.list.length)
  const loads = new Map<string, ModelLoad>()
  let resultBytes = 0
  for (const unit of units) {
    const own = cost(unit)
    for (const { index } of peers.list) computeMs[index]! += own.computeMs[index]!
    for (const load of own.loads) loads.set(load.key, load)
    resultBytes += own.resultBytes
  }
  const held = units.flatMap(({ inputs }) => inputs.filter(({ from }) => from === undefined))
  return { computeMs, loads: [...loads.values()], held, resultBytes }
}

function aloneMs({ peers, heldMs }: Problem, totals: Totals, peer: Peer): number {
  const load = totals.loads.reduce((sum, model) => sum + loadMs(peer, model), 0)
  const transferMs = totals.held.reduce((sum, input) => sum + heldMs(input, peer), 0)
  const { resultBytes, computeMs } = totals
  const resultMs = resultBytes === 0 ? 0 : peers.transferMs(peer, peers.list[0]!, resultBytes)
  return peer.waitMs + transferMs + resultMs + load + computeMs[peer.index]!
}

function meanTimes({ units, cost }: Problem): number[] {
  // Units of equal work share their times.
  const mean = memoized(meanOf)
  return units.map((unit) => mean(cost(unit).computeMs))
}

/** What flows between units: one edge for each pair, its bytes summed. */
function edgesBetween(units: Units): Edge[] {
  return units.list.flatMap((unit) => {
    const edges = new Map<number, Edge>()
    for (const { from, bytes, nodeId, type } of unit.inputs) {
      if (from === undefined) continue
      const isDecoding = type === 'LATENT' && decodes(units, unit) && samples(units, nodeId)
      const known = edges.get(from)
      edges.set(from, {
        from,
        to: unit.index,
        bytes: bytes + (known?.bytes ?? 0),
        isDecoding: isDecoding || (known?.isDecoding ?? false),
      })
    }
    return [...edges.values()]
  })
}

function decodes({ values }: Units, { nodes }: Unit): boolean {
  return nodes.some((id) => values.links(id).some((link) => values.type(link) === 'VAE'))
}

function samples({ values }: Units, nodeId: string): boolean {
  return values.links(nodeId).some((link) => ['MODEL', 'GUIDER'].includes(values.type(link)))
}
