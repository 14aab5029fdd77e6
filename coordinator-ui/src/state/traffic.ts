/** Between which machines something moves at this moment, for the jobs of this agent. Pure. */
import type { JobState } from '@comfymesh/protocol/job'
import { isOpen } from '@comfymesh/protocol/job-stages'

export interface Traffic {
  readonly from: string
  readonly to: string
}

/** @param selfId the machine that sends the stages and gets their pictures. */
export function trafficOf(jobs: Iterable<JobState>, selfId: string): Traffic[] {
  const moving = [...jobs]
    .filter(({ status }) => status === 'running')
    .flatMap((job) =>
      job.attempts.filter(isOpen).flatMap((attempt) => ofStage(job, attempt, selfId)),
    )
  const unique = new Map(moving.map((one) => [`${one.from} ${one.to}`, one]))
  return [...unique.values()].filter(({ from, to }) => from !== to)
}

function ofStage(
  job: JobState,
  { stageId, peerId }: JobState['attempts'][number],
  selfId: string,
): Traffic[] {
  const edges = (job.plan?.edges ?? []).filter(({ to, travels }) => to === stageId && travels)
  const sources = edges.flatMap(({ from }) => {
    const made = job.stages.find((stage) => stage.stageId === from)
    return made === undefined ? [] : [made.peerId]
  })
  return [{ from: selfId, to: peerId }, ...sources.map((from) => ({ from, to: peerId }))]
}
