/** What would run where, and why, before anything runs. */
import type { JsonObject } from '@comfymesh/protocol/json'
import { planSchema } from '@comfymesh/protocol/plan'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { PlanPreview } from '../../execution/plan-preview.ts'
import { json, jsonBody, type Route } from '../route.ts'
import { bodySchema, readWorkflowBody } from './workflow-body.ts'
import { extraDataOf, leftOut, promptOf, refused, warningSchema } from './workflow-routes.ts'

export interface PlanRoutesModules {
  readonly runner: Pick<JobRunner, 'definitions'>
  readonly planPreview: PlanPreview
}

const answerSchema = z.object({
  plan: planSchema,
  cachedNodeIds: z.array(z.string()).describe('Nodes whose results are known already'),
  warnings: z.array(warningSchema).describe('What is odd, or left out'),
})

export function planRoutes({ runner, planPreview }: PlanRoutesModules): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/plan',
      documentation: {
        summary: 'The plan of a workflow or a prompt, without running it',
        description:
          'Stages, the values between them with their sizes, where each stage would run, what that ' +
          'would take, and for every other peer the reason why not. `extra_data.comfymesh` may say ' +
          'where nodes are to run: `{ affinity: { "<node id or class>": "<peer>" }, fallback: "none", "ask" or "auto" }`.',
        body: bodySchema,
        answers: {
          200: { description: 'The plan as of now', schema: answerSchema },
          400: { description: 'It cannot run; `details.nodeErrors` says where' },
          503: { description: 'No peer can run it; the message names what each lacks' },
        },
      },
      handle: async (request) => {
        const body = readWorkflowBody(jsonBody(request))
        const { prompt, warnings } = promptOf(body, await runner.definitions())
        const extraData = extraDataOf(body)
        const result = await planPreview({ prompt: prompt as JsonObject, extraData })
        if (!result.valid) throw refused(result, warnings)
        const { plan, cachedNodeIds, nodeErrors } = result
        return json({ plan, cachedNodeIds, warnings: [...warnings, ...leftOut(nodeErrors)] })
      },
    },
  ]
}
