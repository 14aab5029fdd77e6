/** The agent's own routes: what answers here, and whether it is well. */
import { z } from 'zod'
import type { JobRunner } from '../execution/job-runner.ts'
import { FRONTEND_PATH } from './frontend-folder.ts'
import { json, type Route, text } from './route.ts'

export interface AgentIdentity {
  readonly name: string
  readonly version: string
  /** A random word of this process, by which its own record of where it serves is recognised. */
  readonly instance: string
}

export interface OwnModules {
  readonly identity: AgentIdentity
  /** Where the agent is reached; known once it listens. */
  readonly url: () => string
  readonly uptimeMs: () => number
  readonly runner: Pick<JobRunner, 'running' | 'pending'>
  /** Whether an official frontend is served. */
  readonly hasFrontend: boolean
  /** Whether it takes part in a mesh. */
  readonly hasMesh: boolean
  /** Whether the coordinator page is served at `/`. */
  readonly hasPage: boolean
}

const healthSchema = z.object({
  name: z.string(),
  version: z.string(),
  instance: z.string().describe('A random word of this process, another one after each start'),
  url: z.string(),
  uptimeMs: z.number(),
  ready: z.boolean(),
  mesh: z.boolean().describe('Whether it takes part in a mesh'),
  frontend: z.string().optional().describe('Where an official ComfyUI frontend is'),
})

export function ownRoutes(modules: OwnModules): Route[] {
  const { identity, url, uptimeMs } = modules
  const { name, version, instance } = identity
  return [
    ...(modules.hasPage
      ? []
      : [{ method: 'GET', path: '/', handle: () => text(homeText(modules)) } as const]),
    {
      method: 'GET',
      path: '/health',
      documentation: {
        summary: 'Whether the agent is well; needs no token',
        answers: { 200: { description: 'It is', schema: healthSchema } },
      },
      handle: () =>
        json({
          name,
          version,
          instance,
          url: url(),
          uptimeMs: uptimeMs(),
          ready: true,
          mesh: modules.hasMesh,
          ...(modules.hasFrontend && { frontend: `${FRONTEND_PATH}/` }),
        }),
    },
  ]
}

/** Where the page was not built, `/` at least says what this is. */
function homeText({ identity, runner }: OwnModules): string {
  const { name, version } = identity
  const running = runner.running().length
  const waiting = runner.pending().length
  const queue = running + waiting === 0 ? 'idle' : `${running} running, ${waiting} waiting`
  return (
    `comfymesh ${version} on ${name}: ${queue}.\n` +
    "ComfyUI's API is here and at /api, its WebSocket at /ws; see /v1/openapi.json and /health.\n"
  )
}
