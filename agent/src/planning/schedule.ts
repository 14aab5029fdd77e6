/**
 * When the stages of an assignment begin and end. Every candidate is judged by this one
 * function, so that their times can be compared.
 */
import { loadMs, type ModelLoad, type UnitCost } from './cost.ts'
import type { Unit, UnitInput } from './group.ts'
import type { Peer, Peers } from './peers.ts'
import { type StageDraft, stagesOf } from './stages.ts'

/** What is to be placed, where it may go and what it takes there. */
export interface Problem {
  /** Each after those it depends on. */
  readonly units: readonly Unit[]
  readonly peers: Peers
  /** By unit: the peers that can run it, as bits. */
  readonly able: readonly bigint[]
  readonly cost: (unit: Unit) => UnitCost
  /** What it takes to fetch a value that exists already. */
  readonly heldMs: (input: UnitInput, peer: Peer) => number
}

export interface StageTimes {
  /** Behind other work of the peer, once its inputs are made. */
  readonly waitMs: number
  readonly loadMs: number
  readonly transferMs: number
  readonly computeMs: number
  /** From now. */
  readonly startMs: number
  readonly finishMs: number
}

export interface Schedule {
  readonly stages: readonly StageDraft[]
  readonly times: readonly StageTimes[]
  readonly finishMs: number
}

/** Sees each stage before it is played; `elsewhere` says when it would run on another peer. */
export type Visitor = (
  stage: StageDraft,
  times: StageTimes,
  elsewhere: (peer: Peer) => StageTimes,
) => void

/** Nothing is gained by running less than this while a machine waits for something else. */
const LIGHT_MS = 50

/** @param peerOf by unit the index of its peer. */
export function scheduleOf(problem: Problem, peerOf: ArrayLike<number>, visit?: Visitor): Schedule {
  const { peers } = problem
  const isLight = (unit: Unit) => {
    const { computeMs, loads } = problem.cost(unit)
    return loads.length === 0 && computeMs[peerOf[unit.index]!]! < LIGHT_MS
  }
  const stages = stagesOf(problem.units, peers, peerOf, isLight)
  const readyMs = Float64Array.from(peers.list, ({ waitMs }) => waitMs)
  const loaded = peers.list.map(() => new Set<string>())
  const times: StageTimes[] = []
  for (const stage of stages) {
    const loads = loadsOf(problem, stage)
    const inputsMs = Math.max(0, ...stage.after.map((index) => times[index]!.finishMs))
    const timesOn = (peer: Peer): StageTimes => {
      const startMs = Math.max(inputsMs, readyMs[peer.index]!)
      const missing = loads.filter(({ key }) => !loaded[peer.index]!.has(key))
      const load = missing.reduce((sum, model) => sum + loadMs(peer, model), 0)
      const transferMs = transfersMs(problem, stage, peerOf, peer)
      const computeMs = computingMs(problem, stage, peer)
      const finishMs = startMs + transferMs + load + computeMs
      return { waitMs: startMs - inputsMs, loadMs: load, transferMs, computeMs, startMs, finishMs }
    }
    const own = timesOn(stage.peer)
    visit?.(stage, own, timesOn)
    times.push(own)
    readyMs[stage.peer.index] = own.finishMs
    for (const { key } of loads) loaded[stage.peer.index]!.add(key)
  }
  return { stages, times, finishMs: Math.max(0, ...times.map(({ finishMs }) => finishMs)) }
}

function loadsOf({ cost }: Problem, { units }: StageDraft): ModelLoad[] {
  const loads = units.flatMap((unit) => cost(unit).loads)
  return [...new Map(loads.map((load) => [load.key, load])).values()]
}

function computingMs({ cost }: Problem, { units }: StageDraft, { index }: Peer): number {
  return units.reduce((sum, unit) => sum + cost(unit).computeMs[index]!, 0)
}

/** Bringing the inputs there, and the results to the submitting peer. */
function transfersMs(
  { peers, heldMs, cost }: Problem,
  { units, inputs }: StageDraft,
  peerOf: ArrayLike<number>,
  peer: Peer,
): number {
  const resultBytes = units.reduce((sum, unit) => sum + cost(unit).resultBytes, 0)
  const resultMs = resultBytes === 0 ? 0 : peers.transferMs(peer, peers.list[0]!, resultBytes)
  return inputs.reduce((sum, input) => {
    if (input.from === undefined) return sum + heldMs(input, peer)
    return sum + peers.transferMs(peers.list[peerOf[input.from]!]!, peer, input.bytes)
  }, resultMs)
}
