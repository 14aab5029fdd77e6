/** The plan of a prompt as it would run now. Nothing is queued and nothing runs. */
import type { Plan } from '@comfymesh/protocol/plan'
import type { NodeId, Prompt } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { definitionsOf } from '../planning/definitions.ts'
import type { NodeErrors, Problem } from '../planning/problem.ts'
import { validatePrompt } from '../planning/validate.ts'
import { type JobPlanModules, planRequest } from './job-plan.ts'
import type { Submission } from './submissions.ts'

export type PlanPreviewResult =
  | {
      readonly valid: true
      readonly plan: Plan
      /** As it was validated. */
      readonly prompt: Prompt
      /** Nodes whose results are known already. */
      readonly cachedIds: readonly NodeId[]
      /** About outputs that are left out. */
      readonly nodeErrors: NodeErrors
    }
  | { readonly valid: false; readonly error: Problem; readonly nodeErrors: NodeErrors }

/** @throws MeshError as planRequest. */
export type PlanPreview = (
  submission: Pick<Submission, 'prompt' | 'extraData' | 'targets'>,
) => Promise<PlanPreviewResult>

export interface PlanPreviewModules extends JobPlanModules {
  readonly executor: Pick<Executor, 'fingerprint' | 'validation'>
}

export function createPlanPreview(modules: PlanPreviewModules): PlanPreview {
  return async ({ prompt: given, extraData, targets }) => {
    const validation = await validatePrompt({
      prompt: given ?? null,
      definitions: definitionsOf(await modules.offers()),
      custom: (classType) => modules.executor.validation(classType),
      ...(targets && { targets }),
    })
    if (!validation.valid) return validation
    const { prompt, outputs, nodeErrors } = validation
    const request = { prompt, outputs: [...outputs], extraData }
    const { plan, cachedIds } = await planRequest(request, modules)
    return { valid: true, plan, prompt, cachedIds, nodeErrors }
  }
}
