/**
 * ComfyUI's HTTP API, one row a route; server.ts serves each at `/` and at `/api`.
 * A client that speaks to a ComfyUI server should notice no difference here.
 */
import type { JobRunner } from '../../execution/job-runner.ts'
import type { ModelFolders } from '../../models/folders.ts'
import type { Route } from '../route.ts'
import { modelRoutes } from './model-routes.ts'
import { queueRoutes } from './queue-routes.ts'
import { systemRoutes } from './system-routes.ts'
import { uploadRoutes } from './upload-routes.ts'
import { viewRoutes } from './view-routes.ts'

export interface ComfyuiModules {
  readonly runner: JobRunner
  readonly folders: ModelFolders
}

export function comfyuiRoutes(modules: ComfyuiModules): Route[] {
  return [
    ...queueRoutes(modules),
    ...viewRoutes(modules),
    ...uploadRoutes(modules),
    ...systemRoutes(modules),
    ...modelRoutes(modules),
  ]
}
