/** The stages of a plan in words: what runs, where, and what travels. Pure. */
import type { JobState } from '@comfymesh/protocol/job'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import type { Plan, PlannedStage } from '@comfymesh/protocol/plan'
import { nodeTitle } from './progress.ts'

const MAX_TITLES = 4

/** `Sample, Decode and 3 more`. */
export function stageTitle(job: JobState, { nodes }: PlannedStage): string {
  const titles = [...new Set(nodes.map(({ id }) => nodeTitle(job, id)))]
  if (titles.length <= MAX_TITLES + 1) return titles.join(', ')
  return `${titles.slice(0, MAX_TITLES).join(', ')} and ${titles.length - MAX_TITLES} more`
}

/** Everything that was planned for the job, the newest first. */
function allPlans({ pause, plan, earlierPlans }: JobState): Plan[] {
  const plans = [pause?.plan, plan, ...earlierPlans.toReversed().map((one) => one.plan)]
  return plans.filter((one) => one !== undefined)
}

/** The stage of this id, in whichever plan of the job it stands. */
export function findStage(job: JobState, stageId: string): PlannedStage | undefined {
  return allPlans(job)
    .flatMap(({ stages }) => stages)
    .find(({ id }) => id === stageId)
}

/** Names of the machines that plans of the job speak of, by their ids. */
export function plannedNames(job: JobState): ReadonlyMap<string, string> {
  const named = allPlans(job).flatMap(({ placements }) =>
    placements.flatMap((placement) => [placement, ...placement.rejected]),
  )
  return new Map(named.map(({ peerId, peerName }) => [peerId, peerName]))
}

/** `on Anna`; where another machine is to blame, whose value it was: `on Anna, by Bert’s value`. */
export function failedWhere(
  { peerId, blamedPeerId = peerId }: Pick<StageAttempt, 'peerId' | 'blamedPeerId'>,
  nameOf: (peerId: string) => string,
): string {
  const on = `on ${nameOf(peerId)}`
  return blamedPeerId === peerId ? on : `${on}, by ${nameOf(blamedPeerId)}’s value`
}

/** The attempt that ended a job, if it was one: others may have failed before. */
export function endingAttempt({ attempts, error }: JobState): StageAttempt | undefined {
  return attempts.findLast(
    (attempt) =>
      attempt.error !== undefined &&
      attempt.error.code === error?.code &&
      attempt.error.message === error.message,
  )
}

export interface Input {
  readonly type: string
  readonly bytes: number
  /** Name of the peer that makes it; undefined where it was known already. */
  readonly from: string | undefined
}

/** What comes to a stage over the network. */
export function travellingInputs({ edges, placements }: Plan, stageId: string): Input[] {
  return edges
    .filter(({ to, travels }) => to === stageId && travels)
    .map(({ from, type, bytes }) => ({
      type,
      bytes,
      from: placements.find((placement) => placement.stageId === from)?.peerName,
    }))
}
