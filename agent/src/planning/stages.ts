/** Stages made of units that have their peers: as few as possible, none waiting for nothing. */
import type { Unit, UnitInput } from './group.ts'
import { stronglyConnected } from './components.ts'
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
 * another peer, there and for what follows on the same peer, because values leave a stage when
 * it ends; so no two stages wait for each other. Units that others wait for share a stage only
 * with what they are connected to.
 * @param peerOf by unit the index of its peer.
 * @returns each after those it depends on.
 */
export function stagesOf(
  units: readonly Unit[],
  { list }: Peers,
  peerOf: ArrayLike<number>,
): StageDraft[] {
  const exporting = new Set(
    units.flatMap(({ index, inputs }) =>
      inputs.flatMap(({ from }) => (from !== undefined && peerOf[from] !== peerOf[index] ? [from] : [])),
    ),
  )
  const groups = grouped(units, peerOf, exporting)
  const stageOf = new Map(groups.flatMap((group, at) => group.map(({ index }) => [index, at])))
  return groups.map((group, at) => {
    const outside = group
      .flatMap(({ inputs }) => inputs)
      .filter(({ from }) => from === undefined || stageOf.get(from) !== at)
    const once = new Map(outside.map((input) => [`${input.nodeId} ${input.slot}`, input]))
    const inputs = [...once.values()]
    const sources = inputs.flatMap(({ from }) => (from === undefined ? [] : [stageOf.get(from)!]))
    const after = [...new Set(sources)].sort((a, b) => a - b)
    return { peer: list[peerOf[group[0]!.index]!]!, units: group, after, inputs }
  })
}

function grouped(
  units: readonly Unit[],
  peerOf: ArrayLike<number>,
  exporting: ReadonlySet<number>,
): Unit[][] {
  const depths = depthsOf(units, peerOf, exporting)
  const serving = servingOf(units, depths, peerOf, exporting)
  const isTogether = (a: number, b: number) =>
    depths[a] === depths[b] && peerOf[a] === peerOf[b] && serving.has(a) === serving.has(b)
  const connected = connectedUnits(units, isTogether)
  const groups = new Map<string, Unit[]>()
  for (const unit of units) {
    const place = `${depths[unit.index]} ${peerOf[unit.index]}`
    const key = serving.has(unit.index) ? `${place} ${connected[unit.index]}` : place
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [unit])
    else group.push(unit)
  }
  const rank = ([first]: Unit[]) => depths[first!.index]! * 2 + (serving.has(first!.index) ? 0 : 1)
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || a[0]!.index - b[0]!.index)
}

function depthsOf(
  units: readonly Unit[],
  peerOf: ArrayLike<number>,
  exporting: ReadonlySet<number>,
): number[] {
  const depths: number[] = []
  for (const { index, inputs } of units) {
    depths[index] = 0
    for (const { from } of inputs) {
      if (from === undefined) continue
      const isBehind = peerOf[from] !== peerOf[index] || exporting.has(from)
      depths[index] = Math.max(depths[index]!, depths[from]! + (isBehind ? 1 : 0))
    }
  }
  return depths
}

/** The units that other peers wait for, directly or through units of the same depth and peer. */
function servingOf(
  units: readonly Unit[],
  depths: readonly number[],
  peerOf: ArrayLike<number>,
  exporting: ReadonlySet<number>,
): Set<number> {
  const serving = new Set(exporting)
  for (const { index, inputs } of units.toReversed()) {
    if (!serving.has(index)) continue
    for (const { from } of inputs)
      if (from !== undefined && depths[from] === depths[index] && peerOf[from] === peerOf[index])
        serving.add(from)
  }
  return serving
}

/** By unit the number of its group, where neighbours that belong together are joined. */
function connectedUnits(
  units: readonly Unit[],
  isTogether: (a: number, b: number) => boolean,
): number[] {
  const neighbours = units.map((): number[] => [])
  for (const { index, inputs } of units) {
    for (const { from } of inputs) {
      if (from === undefined || !isTogether(from, index)) continue
      neighbours[from]!.push(index)
      neighbours[index]!.push(from)
    }
  }
  const groupOf: number[] = []
  stronglyConnected(
    units.map(({ index }) => index),
    (index) => neighbours[index]!,
  ).forEach((group, number) => {
    for (const index of group) groupOf[index] = number
  })
  return groupOf
}
