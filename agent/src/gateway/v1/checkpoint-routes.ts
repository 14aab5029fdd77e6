/** The checkpoints of this machine, under /v1. */
import { z } from 'zod'
import type { Executor } from '../../executors/executor.ts'
import type { CheckpointList } from '../../models/checkpoint-list.ts'
import { json, type Route } from '../route.ts'

const checkpointSchema = z.object({
  name: z.string().describe('As a prompt says it'),
  sizeBytes: z.number(),
  family: z.string().optional().describe('Absent where nothing here can run it'),
  prediction: z.enum(['epsilon', 'v']).optional(),
  resident: z.boolean().optional().describe('In memory; absent where that is not known'),
  parts: z.array(z.enum(['unet', 'textEncoder', 'vae'])),
  problem: z.string().optional().describe('Why it cannot be used, and what to do'),
})

export interface CheckpointModules {
  readonly checkpoints: CheckpointList
  readonly executor: Pick<Executor, 'openModelFiles'>
}

export function checkpointRoutes({ checkpoints, executor }: CheckpointModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/checkpoints',
      documentation: {
        summary: 'The checkpoints of this machine',
        answers: {
          200: {
            description: 'In the order of their names',
            schema: z.object({ checkpoints: z.array(checkpointSchema) }),
          },
        },
      },
      handle: async () => {
        const listed = await checkpoints.read()
        const open = executor.openModelFiles?.()
        const told = listed.map(({ path, ...checkpoint }) => ({
          ...checkpoint,
          ...(open && { resident: open.includes(path) }),
        }))
        return json({ checkpoints: told })
      },
    },
  ]
}
