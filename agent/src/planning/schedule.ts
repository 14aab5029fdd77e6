/**
 * When the stages of an assignment begin and end. Every candidate is judged by this one
 * function, so that their times can be compared.
 */
import { createSum, loadMs, type ModelLoad, type UnitCost } from './cost.ts'
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
export function scheduleOf(problem: Problem, peerOf: ArrayLike<number>): Schedule {
  const isLight = (unit: Unit) => {
    const { computeMs, loads } = problem.cost(unit)
    return loads.length === 0 && computeMs[peerOf[unit.index]!]! < LIGHT_MS
  }
  return play(problem, peerOf, stagesOf(problem.units, problem.peers, peerOf, isLight))
}

/** Stages one after the other, each as soon as its inputs are made and its peer is free. */
export function play(
  problem: Problem,
  peerOf: ArrayLike<number>,
  stages: readonly StageDraft[],
  visit?: Visitor,
): Schedule {
  const { peers } = problem
  const readyMs = peers.list.map(({ waitMs }) => waitMs)
  const loaded = peers.list.map(() => new Set<string>())
  const times: StageTimes[] = []
  const sum = createSum()
  for (const stage of stages) {
    const loads = loadsOf(problem, stage)
    const computing = stage.units.map((unit) => problem.cost(unit).computeMs)
    const inputsMs = Math.max(0, ...stage.after.map((index) => times[index]!.finishMs))
    const sources = sourcesOf(problem, stage, peerOf)
    const timesOn = (peer: Peer, computeMs: number): StageTimes => {
      const startMs = Math.max(inputsMs, readyMs[peer.index]!)
      const isLoaded = loaded[peer.index]!
      let load = 0
      for (const model of loads) if (!isLoaded.has(model.key)) load += loadMs(peer, model)
      const transferMs = transfersMs(problem, sources, peer)
      const finishMs = startMs + transferMs + load + computeMs
      return { waitMs: startMs - inputsMs, loadMs: load, transferMs, computeMs, startMs, finishMs }
    }
    let ownMs = 0
    for (const computeMs of computing) ownMs += computeMs[stage.peer.index]!
    const own = timesOn(stage.peer, ownMs)
    if (visit !== undefined) {
      const computeMs = sum(computing)
      visit(stage, own, (peer) => timesOn(peer, computeMs[peer.index]!))
    }
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

/** What must be brought to the peer of a stage, and from it. */
interface Sources {
  readonly made: readonly { readonly peer: Peer; readonly bytes: number }[]
  readonly held: readonly UnitInput[]
  readonly resultBytes: number
}

function sourcesOf(
  { peers, cost }: Problem,
  { units, inputs }: StageDraft,
  peerOf: ArrayLike<number>,
): Sources {
  const made = inputs.flatMap(({ from, bytes }) =>
    from === undefined ? [] : [{ peer: peers.list[peerOf[from]!]!, bytes }],
  )
  const held = inputs.filter(({ from }) => from === undefined)
  const resultBytes = units.reduce((sum, unit) => sum + cost(unit).resultBytes, 0)
  return { made, held, resultBytes }
}

function transfersMs({ peers, heldMs }: Problem, sources: Sources, peer: Peer): number {
  let ms = 0
  for (const { peer: source, bytes } of sources.made) ms += peers.transferMs(source, peer, bytes)
  for (const input of sources.held) ms += heldMs(input, peer)
  if (sources.resultBytes > 0) ms += peers.transferMs(peer, peers.list[0]!, sources.resultBytes)
  return ms
}
