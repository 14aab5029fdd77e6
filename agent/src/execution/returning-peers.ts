/** After a restart: the stages that may still run elsewhere, and the peers to be heard of again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobState } from '@comfymesh/protocol/job'
import { isOpen } from '@comfymesh/protocol/job-stages'
import type { JobPlanModules } from './job-plan.ts'

/** Members find each other again in about a second; one that is not back by then may be gone. */
const PATIENCE_MS = 6000
const LOOK_AGAIN_MS = 100

/**
 * Waits a while for the peers on which stages of the job were running, and for those that hold
 * what it needs. What ran on this machine ended with the process.
 * @returns ids of the stages that go on.
 */
export async function returningStages(
  { attempts, stages, plan }: JobState,
  { offers }: Pick<JobPlanModules, 'offers'>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const open = attempts.filter(isOpen)
  if (plan === undefined || open.length + stages.length === 0) return new Set()
  const wanted = new Set([
    ...open.map(({ peerId }) => peerId),
    ...stages.filter(({ values }) => values.length > 0).map(({ peerId }) => peerId),
  ])
  const deadlineMs = performance.now() + PATIENCE_MS
  for (;;) {
    const [here, ...others] = await offers()
    const present = others.filter(({ absence }) => absence === undefined)
    const ids = new Set(present.map(({ advertisement }) => advertisement.peerId))
    const selfId = here?.advertisement.peerId
    const isBack = [...wanted].every((id) => id === selfId || ids.has(id))
    if (isBack || performance.now() >= deadlineMs || signal.aborted)
      return new Set(open.filter(({ peerId }) => ids.has(peerId)).map(({ stageId }) => stageId))
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
  }
}
