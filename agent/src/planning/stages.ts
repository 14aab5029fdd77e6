/** Stages made of units that have their peers: as few as possible, none waiting for nothing. */

import type { Unit, UnitInput } from './group.ts'
import { memoized } from './memoized.ts'
import type { Peer, Peers } from './peers.ts'

export interface StageDraft {
  readonly peer: Peer
  readonly units: readonly Unit[]
  /** Numbers of the stages whose values it needs. */
  readonly after: readonly number[]
  /** From other stages, or made already; each value once. */
  readonly inputs: readonly UnitInput[]
}

/**
 * Units of one peer that lie equally deep share a stage. Depth grows wherever a value leaves for
 * another peer, there and for what takes time on the same peer, because values leave a stage
 * when it ends. It never shrinks along a way, so no two stages wait for each other. Units that others wait for share a stage only
 * with those that the same peers wait for.
 * @param peerOf by unit the index of its peer.
 * @param isLight whether a unit takes next to no time: it may as well wait with what needs it.
 * @returns each after those it depends on.
 */
export function stagesOf(
  units: readonly Unit[],
  { list }: Peers,
  peerOf: ArrayLike<number>,
  isLight: (unit: Unit) => boolean,
): StageDraft[] {
  const groups = grouped({ units, peerOf, isLight, takers: takersOf(units, peerOf) })
  const stageOf = new Int32Array(units.length)
  for (const [at, group] of groups.entries()) for (const { index } of group) stageOf[index] = at
  return groups.map((group, at) => {
    const once = new Map<string, UnitInput>()
    const sources = new Set<number>()
    for (const { inputs } of group) {
      for (const input of inputs) {
        const source = input.from === undefined ? undefined : stageOf[input.from]!
        if (source === at) continue
        once.set(input.key, input)
        if (source !== undefined) sources.add(source)
      }
    }
    const after = [...sources].sort((a, b) => a - b)
    return {
      peer: list[peerOf[group[0]!.index]!]!,
      units: group,
      after,
      inputs: [...once.values()],
    }
  })
}

interface Assigned {
  readonly units: readonly Unit[]
  readonly peerOf: ArrayLike<number>
  readonly isLight: (unit: Unit) => boolean
  /** By unit the other peers that wait for its values; absent where none does. */
  readonly takers: ReadonlyMap<number, ReadonlySet<number>>
}

function takersOf(units: readonly Unit[], peerOf: ArrayLike<number>): Map<number, Set<number>> {
  const takers = new Map<number, Set<number>>()
  for (const { index, inputs } of units) {
    for (const { from } of inputs) {
      if (from === undefined || peerOf[from] === peerOf[index]) continue
      takers.set(from, (takers.get(from) ?? new Set()).add(peerOf[index]!))
    }
  }
  return takers
}

function grouped(assigned: Assigned): Unit[][] {
  const { units, peerOf } = assigned
  const depths = depthsOf(assigned)
  const served = servedBy(assigned, depths)
  const textOf = memoized((peers: ReadonlySet<number>) =>
    [...peers].sort((a, b) => a - b).join(' '),
  )
  const groups = new Map<string, Unit[]>()
  for (const unit of units) {
    const peers = served.get(unit.index)
    const key = `${depths[unit.index]} ${peerOf[unit.index]} ${peers === undefined ? '' : textOf(peers)}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [unit])
    else group.push(unit)
  }
  // At equal depth those first for which other peers wait, and those which serve most of them.
  const rank = ([unit]: Unit[]) => served.get(unit!.index)?.size ?? 0
  return [...groups.values()].sort(
    (a, b) =>
      depths[a[0]!.index]! - depths[b[0]!.index]! || rank(b) - rank(a) || a[0]!.index - b[0]!.index,
  )
}

function depthsOf({ units, peerOf, isLight, takers }: Assigned): number[] {
  const depths: number[] = []
  for (const unit of units) {
    const { index, inputs } = unit
    depths[index] = 0
    for (const { from } of inputs) {
      if (from === undefined) continue
      const isBehind = peerOf[from] !== peerOf[index] || (takers.has(from) && !isLight(unit))
      depths[index] = Math.max(depths[index]!, depths[from]! + (isBehind ? 1 : 0))
    }
  }
  const needed = new Map<number, number>()
  for (const unit of units.toReversed()) {
    const { index, inputs } = unit
    const latest = needed.get(index)
    if (latest !== undefined && !takers.has(index) && isLight(unit)) depths[index] = latest
    for (const { from } of inputs)
      if (from !== undefined)
        needed.set(from, Math.min(needed.get(from) ?? Number.POSITIVE_INFINITY, depths[index]!))
  }
  return depths
}

/**
 * By unit the other peers that wait for it, directly or through units of its own depth and peer;
 * absent where none does. What leads to a unit serves at least the same peers.
 */
function servedBy(
  { units, peerOf, takers }: Assigned,
  depths: readonly number[],
): Map<number, Set<number>> {
  const served = new Map([...takers].map(([index, peers]) => [index, new Set(peers)]))
  for (const { index, inputs } of units.toReversed()) {
    const peers = served.get(index)
    if (peers === undefined) continue
    for (const { from } of inputs) {
      if (from === undefined || depths[from] !== depths[index]) continue
      if (peerOf[from] !== peerOf[index]) continue
      const sourcePeers = served.get(from) ?? new Set()
      for (const peer of peers) sourcePeers.add(peer)
      served.set(from, sourcePeers)
    }
  }
  return served
}
