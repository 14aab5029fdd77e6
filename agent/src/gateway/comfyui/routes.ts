/**
 * ComfyUI's HTTP API, one row a route; server.ts serves each at `/` and at `/api`.
 * A client that speaks to a ComfyUI server should notice no difference here.
 */
import type { JobRunner } from '../../execution/job-runner.ts'
import type { ModelFolders } from '../../models/folders.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Route } from '../route.ts'
import { internalRoutes } from './internal-routes.ts'
import { jobRoutes } from './job-routes.ts'
import { modelRoutes } from './model-routes.ts'
import { packRoutes } from './pack-routes.ts'
import { queueRoutes } from './queue-routes.ts'
import { settingsRoutes } from './settings-routes.ts'
import type { Sockets } from './sockets.ts'
import { type ComfyuiFeatures, systemRoutes } from './system-routes.ts'
import { uploadRoutes } from './upload-routes.ts'
import type { UserFiles } from './user-files.ts'
import { userRoutes } from './user-routes.ts'
import { viewRoutes } from './view-routes.ts'

export interface ComfyuiModules {
  readonly runner: JobRunner
  readonly folders: ModelFolders
  readonly userFiles: UserFiles
  readonly log: Log
  readonly sockets: Pick<Sockets, 'has' | 'tell'>
  readonly features: ComfyuiFeatures
}

export function comfyuiRoutes(modules: ComfyuiModules): Route[] {
  return [
    ...queueRoutes(modules),
    ...jobRoutes(modules),
    ...viewRoutes(modules),
    ...uploadRoutes(modules),
    ...systemRoutes(modules),
    ...modelRoutes(modules),
    ...userRoutes(modules),
    ...settingsRoutes(modules),
    ...packRoutes(),
    ...internalRoutes(modules),
  ]
}
