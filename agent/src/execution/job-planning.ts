/** The plans of a job that runs: the first one, and those after something failed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { optionsOf } from '@comfymesh/protocol/job'
import type { PeerOffer } from '../planning/peers.ts'
import { exhausted, type Faults } from './faults.ts'
import { type JobPlan, type JobPlanModules, type MadeSoFar, planRequest } from './job-plan.ts'
import type { LiveJob } from './live-job.ts'
import { madeSoFar } from './made-so-far.ts'
import type { PictureFiles } from './picture-files.ts'

export interface JobPlanningModules extends JobPlanModules {
  readonly pictures: Pick<PictureFiles, 'exist'>
  readonly now: () => number
}

export interface Circumstances {
  /** Ids of stages that run on. */
  readonly running: ReadonlySet<string>
  readonly faults: Faults
  readonly signal: AbortSignal
  /** What the job has met, if this is not its first plan. */
  readonly last?: MeshError
}

/** A machine that was busy or out of reach for a moment is back by then. */
const PATIENCE_MS = 10_000
const LOOK_AGAIN_MS = 200

/**
 * Plans what is left of a job. Who failed it once is asked again only where nobody else can; where
 * nobody can at all, members that are away are waited for a moment before the job fails.
 * @throws MeshError what failed last, where nobody is left; otherwise as planRequest.
 */
export async function planLeft(
  job: Pick<LiveJob, 'state'>,
  circumstances: Circumstances,
  modules: JobPlanningModules,
): Promise<JobPlan> {
  const { last, signal } = circumstances
  const deadlineMs = modules.now() + PATIENCE_MS
  for (;;) {
    const offers = await modules.offers()
    try {
      return await planAmong(offers, job, circumstances, modules)
    } catch (thrown) {
      if (!isNobodyLeft(thrown) || last === undefined) throw thrown
      const isHopeless = offers.every(({ absence }) => absence === undefined)
      if (isHopeless || modules.now() >= deadlineMs || signal.aborted)
        throw exhausted(last, MeshError.from(thrown), offers.length)
    }
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
  }
}

async function planAmong(
  offers: readonly PeerOffer[],
  { state }: Pick<LiveJob, 'state'>,
  { running, faults }: Circumstances,
  modules: JobPlanningModules,
): Promise<JobPlan> {
  const known = {
    ...(await madeSoFar(state, faults, modules.pictures)),
    ...(state.plan !== undefined && { progress: { plan: state.plan, running } }),
  }
  const request = { ...state.request, options: optionsOf(state) }
  const plan = (excluded: MadeSoFar['excluded']) =>
    planRequest(request, { ...modules, offers: async () => offers }, { ...known, excluded })
  try {
    return await plan(faults.failed())
  } catch (thrown) {
    if (!isNobodyLeft(thrown) || faults.failed().size === 0) throw thrown
  }
  return plan(faults.barred())
}

function isNobodyLeft(thrown: unknown): boolean {
  return MeshError.from(thrown).code === 'no_peer'
}
