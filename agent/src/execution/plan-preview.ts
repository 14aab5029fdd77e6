/** The plan of a prompt as it would run now. Nothing is queued and nothing runs. */
import type { Plan } from '@comfymesh/protocol/plan'
import type { NodeErrors, Problem } from '@comfymesh/protocol/refusal'
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { definitionsOf } from '../planning/definitions.ts'
import type { PeerOffer } from '../planning/peers.ts'
import { validatePrompt } from '../planning/validate.ts'
import { type JobPlanModules, planRequest } from './job-plan.ts'
import { type Gathering, validateInMesh } from './mesh-validation.ts'
import type { QueueTimes } from './queue-times.ts'
import type { Submission } from './submissions.ts'

export type PlanPreviewResult =
  | {
      readonly valid: true
      readonly plan: Plan
      /** Nodes whose results are known already. */
      readonly cachedNodeIds: readonly NodeId[]
      /** About outputs that are left out. */
      readonly nodeErrors: NodeErrors
    }
  | { readonly valid: false; readonly error: Problem; readonly nodeErrors: NodeErrors }

/** @throws MeshError `no_peer`, `invalid_prompt` for options that make no sense. */
export type PlanPreview = (
  submission: Pick<Submission, 'prompt' | 'extraData' | 'targets'>,
) => Promise<PlanPreviewResult>

export interface PlanPreviewModules extends JobPlanModules {
  readonly executor: Pick<Executor, 'fingerprint' | 'validation'>
  readonly queueTimes: Pick<QueueTimes, 'report'>
  /** Other members that may offer more in a moment. */
  readonly gathering: Gathering
}

export function createPlanPreview(modules: PlanPreviewModules): PlanPreview {
  return async ({ prompt: given, extraData, targets }) => {
    let offers: readonly PeerOffer[] = []
    const validate = async () => {
      offers = behindQueue(await modules.offers(), modules.queueTimes)
      return validatePrompt({
        prompt: given ?? null,
        definitions: definitionsOf(offers),
        custom: (classType) => modules.executor.validation(classType),
        ...(targets && { targets }),
      })
    }
    const validation = await validateInMesh(validate, modules.gathering)
    if (!validation.valid) return validation
    const { prompt, outputs, nodeErrors } = validation
    const request = { prompt, outputs: [...outputs], extraData }
    const planned = await planRequest(request, { ...modules, offers: async () => offers })
    return { valid: true, plan: planned.plan, cachedNodeIds: planned.cachedIds, nodeErrors }
  }
}

/** A job that is about to run waits for nobody here; a prompt that comes now waits for the queue. */
function behindQueue(
  [here, ...others]: readonly PeerOffer[],
  queueTimes: Pick<QueueTimes, 'report'>,
): PeerOffer[] {
  if (here === undefined) return others
  const { remainingMs, jobs } = queueTimes.report()
  const queue = { running: 0, waiting: jobs.length }
  // What runs at this moment says little of what waits behind it.
  const { waitMs: _, ...rest } = here
  const busy = { ...rest, advertisement: { ...here.advertisement, queue } }
  return [remainingMs === undefined ? busy : { ...busy, waitMs: remainingMs }, ...others]
}
