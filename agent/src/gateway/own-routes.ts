/** The agent's own routes: what answers here, and whether it is well. */
import { z } from 'zod'
import type { JobRunner } from '../execution/job-runner.ts'
import { homePage, homePageHeaders, homeText } from './home-page.ts'
import { type Answer, json, type Request, type Route, text } from './route.ts'

export interface AgentIdentity {
  readonly name: string
  readonly version: string
}

export interface OwnModules {
  readonly identity: AgentIdentity
  /** Where the agent is reached; known once it listens. */
  readonly url: () => string
  readonly uptimeMs: () => number
  readonly runner: Pick<JobRunner, 'running' | 'pending'>
  /** Whether an official frontend is served. */
  readonly hasFrontend: boolean
  /** Whether the coordinator page is served at `/`. */
  readonly hasPage: boolean
}

const healthSchema = z.object({
  name: z.string(),
  version: z.string(),
  url: z.string(),
  uptimeMs: z.number(),
  ready: z.boolean(),
})

export function ownRoutes(modules: OwnModules): Route[] {
  const { identity, url, uptimeMs } = modules
  const { name, version } = identity
  return [
    ...(modules.hasPage
      ? []
      : [
          {
            method: 'GET',
            path: '/',
            handle: (request: Request) => home(modules, request),
          } as const,
        ]),
    {
      method: 'GET',
      path: '/health',
      documentation: {
        summary: 'Whether the agent is well; needs no token',
        answers: { 200: { description: 'It is', schema: healthSchema } },
      },
      handle: () => json({ name, version, url: url(), uptimeMs: uptimeMs(), ready: true }),
    },
  ]
}

/** A page for people; programs that do not ask for one get a line of text. */
function home({ identity, runner, hasFrontend }: OwnModules, { headers }: Request): Answer {
  const queue = { running: runner.running().length, waiting: runner.pending().length }
  const facts = { ...identity, ...queue, hasFrontend }
  if (!headers.accept?.includes('text/html')) return text(homeText(facts))
  return { status: 200, headers: homePageHeaders, body: homePage(facts) }
}
