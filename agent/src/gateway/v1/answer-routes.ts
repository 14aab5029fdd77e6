/** What the user says to the question of a paused job, and what then becomes of it. */
import { answerSchema, jobStatuses } from '@comfymesh/protocol/job'
import { planSchema } from '@comfymesh/protocol/plan'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { json, type Route } from '../route.ts'
import { parsedBody } from './answers.ts'
import { findJob } from './job-routes.ts'

const bodySchema = z.object({ answer: answerSchema })
const goingOnSchema = z.object({
  answer: z.union([z.literal('go'), z.strictObject({ peer: z.string().min(1) })]),
})
const planAnswerSchema = z.object({ plan: planSchema })
const answeredSchema = z.object({ id: z.string(), status: z.enum(jobStatuses) })

export function answerRoutes({
  runner,
}: {
  readonly runner: Pick<JobRunner, 'job' | 'answer' | 'previewAnswer'>
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
    {
      method: 'POST',
      path: '/v1/jobs/:id/answer/plan',
      documentation: {
        summary: 'The plan that an answer to a paused job would lead to',
        description:
          'Nothing is answered. What the job has made already and who failed it counts, as when it ' +
          'goes on. A plan with a `question` is one that the job would ask about again.',
        body: goingOnSchema,
        answers: {
          200: { description: 'The plan as of now', schema: planAnswerSchema },
          400: { description: 'The body is not as it should be' },
          404: { description: 'There is no such job, or it does not wait for an answer' },
          503: { description: 'No peer can run it; the message names what each lacks' },
        },
      },
      handle: async (request) => {
        const { answer } = parsedBody(goingOnSchema, request)
        return json({ plan: await runner.previewAnswer(request.params.id!, answer) })
      },
    },
  ]
}
