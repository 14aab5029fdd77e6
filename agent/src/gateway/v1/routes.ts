/**
 * comfymesh's own API, /v1: one table a subject. Every route here carries its documentation,
 * and GET /v1/openapi.json is made of it.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import { createCheckpointList } from '../../models/checkpoint-list.ts'
import type { ModelFolders } from '../../models/folders.ts'
import { json, type Route } from '../route.ts'
import { type AgentModules, agentRoutes } from './agent-routes.ts'
import { answerRoutes } from './answer-routes.ts'
import { withErrors } from './answers.ts'
import { type CheckpointModules, checkpointRoutes } from './checkpoint-routes.ts'
import type { EventMemory } from './event-memory.ts'
import { eventRoutes } from './event-routes.ts'
import { jobRoutes } from './job-routes.ts'
import { type LogModules, logRoutes } from './log-routes.ts'
import { type MeshRoutesModules, meshRoutes } from './mesh-routes.ts'
import { type ModelModules, modelRoutes } from './model-routes.ts'
import { openapiDocument } from './openapi.ts'
import { outputRoutes } from './output-routes.ts'
import { type PlanRoutesModules, planRoutes } from './plan-routes.ts'
import { type QueueModules, queueRoutes } from './queue-routes.ts'
import { workflowRoutes } from './workflow-routes.ts'

export interface V1Modules
  extends QueueModules,
    MeshRoutesModules,
    PlanRoutesModules,
    ModelModules,
    LogModules,
    AgentModules {
  readonly runner: JobRunner
  readonly folders: ModelFolders
  readonly events: EventMemory
  readonly executor: CheckpointModules['executor']
}

export interface V1Options {
  readonly version: string
  /** Documented routes that do not stand under /v1. */
  readonly others: readonly Route[]
}

export function v1Routes({ version, others }: V1Options, modules: V1Modules): Route[] {
  const routes: Route[] = [
    ...workflowRoutes(modules),
    ...planRoutes(modules),
    ...jobRoutes(modules),
    ...answerRoutes(modules),
    ...outputRoutes(modules),
    ...eventRoutes(modules),
    ...queueRoutes(modules),
    ...meshRoutes(modules),
    ...modelRoutes(modules),
    ...agentRoutes(modules),
    ...logRoutes(modules),
    ...checkpointRoutes({ ...modules, checkpoints: createCheckpointList(modules) }),
    {
      method: 'GET',
      path: '/v1/openapi.json',
      documentation: {
        summary: 'This document',
        answers: { 200: { description: 'OpenAPI 3.1', schema: z.looseObject({}) } },
      },
      handle: () => {
        document ??= openapiDocument([...routes, ...others], { version })
        return json(document)
      },
    },
  ]
  let document: JsonObject | undefined
  return withErrors([...routes, ...unknownRoutes])
}

/** What is asked under /v1 and does not exist is told as everything else there. */
const unknownRoutes: readonly Route[] = (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).map(
  (method) => ({
    method,
    path: '/v1/*',
    handle: ({ params }) => {
      const message = `There is no ${method} /v1/${params['*']}. See GET /v1/openapi.json.`
      throw new MeshError('not_found', message)
    },
  }),
)
