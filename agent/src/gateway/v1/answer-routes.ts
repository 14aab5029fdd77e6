/** What the user says to the question of a paused job, and what then becomes of it. */
import { answerSchema, jobStatuses } from '@comfymesh/protocol/job'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { json, type Route } from '../route.ts'
import { parsedBody } from './answers.ts'
import { findJob } from './job-routes.ts'

const bodySchema = z.object({ answer: answerSchema })
const answeredSchema = z.object({ id: z.string(), status: z.enum(jobStatuses) })

export function answerRoutes({
  runner,
}: {
  readonly runner: Pick<JobRunner, 'job' | 'answer'>
}): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/jobs/:id/answer',
      documentation: {
        summary: 'Answer the question of a paused job',
        description:
          '`go` runs it as proposed, `cancel` not at all, `{"peer": "…"}` on another machine ' +
          'instead of the one that cannot; if that one cannot either, it asks again.',
        body: bodySchema,
        answers: {
          200: { description: 'What it is now', schema: answeredSchema },
          400: { description: 'The body is not as it should be' },
          404: { description: 'There is no such job, or it does not wait for an answer' },
        },
      },
      handle: async (request) => {
        const { answer } = parsedBody(bodySchema, request)
        const id = request.params.id!
        await findJob(runner, id)
        await runner.answer(id, answer)
        return json({ id, status: (await findJob(runner, id)).status })
      },
    },
  ]
}
