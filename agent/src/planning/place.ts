/** A schedule as the user sees it: each placement with its reason, and why no other peer. */
import type { Placement, PlannedStage, Rejection } from '@comfymesh/protocol/plan'
import type { Abilities } from './abilities.ts'
import { ANOTHER_PEER_MS } from './clusters.ts'
import type { Peer } from './peers.ts'
import { type Problem, play, type Schedule, type StageTimes } from './schedule.ts'
import type { StageDraft } from './stages.ts'

export interface PlaceInput {
  readonly problem: Problem
  readonly abilities: Abilities
  readonly peerOf: ArrayLike<number>
  readonly schedule: Schedule
  /** One a stage of the schedule, in its order. */
  readonly stages: readonly PlannedStage[]
}

export function placementsOf(input: PlaceInput): Placement[] {
  const { problem, abilities, peerOf, schedule, stages } = input
  const placements: Placement[] = []
  const { list } = problem.peers
  play(problem, peerOf, schedule.stages, (draft, times, elsewhere) => {
    const memoryBytes = Math.max(
      ...draft.units.flatMap(({ nodes }) => nodes.map(abilities.memoryBytes)),
    )
    const able = draft.units.reduce((all, { index }) => all & problem.able[index]!, -1n)
    const end = seconds(times.finishMs)
    const rejected = list
      .filter((peer) => peer !== draft.peer)
      .map((peer): Rejection => {
        const isAble = (able & peer.bit) !== 0n
        const reason = isAble
          ? slowness(elsewhere(peer), times, draft.peer, end)
          : lackOf(draft, peer, abilities)!
        return { peerId: peer.peerId, peerName: peer.name, reason }
      })
    placements.push({
      stageId: stages[placements.length]!.id,
      peerId: draft.peer.peerId,
      peerName: draft.peer.name,
      reason: reasonOf(list, able),
      estimate: { ...times, memoryBytes },
      rejected,
    })
  })
  return placements
}

/** What first keeps a peer from running a stage. */
export function lackOf(
  { units }: Pick<StageDraft, 'units'>,
  peer: Peer,
  abilities: Abilities,
): string | undefined {
  for (const { loaders, nodes } of units) {
    for (const ids of [loaders, nodes]) {
      for (const id of ids) {
        const lack = abilities.lack(id, peer)
        if (lack !== undefined) return lack
      }
    }
  }
  return undefined
}

/**
 * Why a peer that could run a stage was not taken for it.
 * @param fast when the stage ends here, in words.
 */
function slowness(there: StageTimes, here: StageTimes, chosen: Peer, fast: string): string {
  const gainMs = here.finishMs - there.finishMs
  if (gainMs > ANOTHER_PEER_MS) return 'would end this stage earlier, but not the whole job'
  if (gainMs > 0) return 'hardly earlier, and one peer more'
  if (there.finishMs === here.finishMs) return `as fast, but ${chosen.name} comes first`
  const delayMs = there.startMs - here.startMs
  const workMs = (times: StageTimes) => times.finishMs - times.startMs
  // Most of the difference comes from what it has to do already.
  if (delayMs > 0 && delayMs >= (there.finishMs - here.finishMs) / 2)
    return `busy, ${seconds(there.waitMs)} behind`
  const moreLoadMs = there.loadMs - here.loadMs
  const why = moreLoadMs > (workMs(there) - workMs(here)) / 2 ? ', its model is not loaded' : ''
  const slow = seconds(there.finishMs)
  return slow === fast ? `slower, by less than ${STEP}` : `slower: ${slow} instead of ${fast}${why}`
}

/** What `seconds` does not show. */
const STEP = '1 s'

/** `0.4 s`, `12 s`. */
export function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(ms < 100 ? 2 : 1)} s` : `${Math.round(ms / 1000)} s`
}

function reasonOf(peers: readonly Peer[], able: bigint): string {
  if (peers.length === 1) return 'the only peer of the mesh'
  const count = peers.filter(({ bit }) => (able & bit) !== 0n).length
  return count === 1 ? 'the only peer that can' : `ends it first of ${count} peers that can`
}
