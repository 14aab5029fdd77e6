/** The agent's own routes: what answers here, and whether it is well. */
import { json, type Route, text } from './route.ts'

export interface AgentIdentity {
  readonly name: string
  readonly version: string
}

export interface OwnModules {
  readonly identity: AgentIdentity
  /** Where the agent is reached; known once it listens. */
  readonly url: () => string
  readonly uptimeMs: () => number
}

export function ownRoutes({ identity, url, uptimeMs }: OwnModules): Route[] {
  const { name, version } = identity
  return [
    {
      method: 'GET',
      path: '/',
      handle: () =>
        text(
          `comfymesh ${version} on ${name}.\nComfyUI's API is here and at /api, its WebSocket at /ws; see /object_info and /health.\n`,
        ),
    },
    {
      method: 'GET',
      path: '/health',
      handle: () => json({ name, version, url: url(), uptimeMs: uptimeMs(), ready: true }),
    },
  ]
}
