/** What the agent tells of itself under /v1: its addresses and folders, its token, its health. */
import {
  type AgentState,
  agentStateSchema,
  type Examination,
  examinationSchema,
  shownTokenSchema,
} from '@comfymesh/protocol/agent-state'
import { MeshError } from '@comfymesh/protocol/errors'
import { type Answer, json, type Route } from '../route.ts'

export interface AgentModules {
  readonly agentState: () => AgentState
  /** What everybody has to show; absent where nobody has to. */
  readonly token?: () => string
  readonly examine: () => Promise<Examination>
}

export function agentRoutes({ agentState, token, examine }: AgentModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/agent',
      documentation: {
        summary: 'This agent: its version, its addresses and its folders',
        answers: { 200: { description: 'As of now', schema: agentStateSchema } },
      },
      handle: () => json(agentState()),
    },
    {
      method: 'GET',
      path: '/v1/agent/token',
      documentation: {
        summary: 'The token that opens this agent to other machines',
        description: 'Told to those alone who have shown it, as every answer of the agent.',
        answers: {
          200: { description: 'As of now', schema: shownTokenSchema },
          404: { description: 'This agent asks nobody for a token' },
        },
      },
      handle: () => unkept(json({ token: shownToken(token) })),
    },
    {
      method: 'GET',
      path: '/v1/doctor',
      documentation: {
        summary: 'What is well on this machine, what is not, and what to do about it',
        description: 'Examines anew each time, which takes some seconds.',
        answers: { 200: { description: 'What was found', schema: examinationSchema } },
      },
      handle: async () => json(await examine()),
    },
  ]
}

function shownToken(token: (() => string) | undefined): string {
  if (token !== undefined) return token()
  throw new MeshError('not_found', 'This agent asks nobody for a token: there is none.')
}

/** Neither a browser nor a proxy keeps it. */
function unkept(answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, 'cache-control': 'no-store' } }
}
