/** The plans of a job that runs: the first one, and those after something failed. */
import { MeshError } from '@comfymesh/protocol/errors'
import { optionsOf } from '@comfymesh/protocol/job'
import { exhausted, type Faults } from './faults.ts'
import { type JobPlan, type JobPlanModules, type MadeSoFar, planRequest } from './job-plan.ts'
import type { LiveJob } from './live-job.ts'
import { madeSoFar } from './made-so-far.ts'
import type { PictureFiles } from './picture-files.ts'

export interface JobPlanningModules extends JobPlanModules {
  readonly pictures: Pick<PictureFiles, 'exist'>
}

export interface Circumstances {
  /** Ids of stages that run on. */
  readonly running: ReadonlySet<string>
  readonly faults: Faults
  /** What the job has met, if this is not its first plan. */
  readonly last?: MeshError
}

/**
 * Plans what is left of a job. Who failed it once is asked again only where nobody else can.
 * @throws MeshError what failed last, where nobody is left; otherwise as planRequest.
 */
export async function planLeft(
  { state }: Pick<LiveJob, 'state'>,
  { running, faults, last }: Circumstances,
  modules: JobPlanningModules,
): Promise<JobPlan> {
  const offers = await modules.offers()
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
  try {
    return await plan(faults.barred())
  } catch (thrown) {
    if (!isNobodyLeft(thrown) || last === undefined) throw thrown
    throw exhausted(last, MeshError.from(thrown), offers.length)
  }
}

function isNobodyLeft(thrown: unknown): boolean {
  return MeshError.from(thrown).code === 'no_peer'
}
