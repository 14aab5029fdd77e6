/** The log of every machine of the mesh, under /v1. */
import { MeshError } from '@comfymesh/protocol/errors'
import {
  logLevels,
  logLineSchema,
  logRequestSchema,
  MAX_LOG_LINES,
} from '@comfymesh/protocol/log-lines'
import { z } from 'zod'
import type { PeerLogs } from '../../execution/peer-logs.ts'
import { json, type Route } from '../route.ts'
import { parsedQuery } from './answers.ts'

export interface LogModules {
  readonly peerLogs: PeerLogs
}

const parameters = {
  peer: z.string().optional(),
  after: z.coerce.number().optional(),
  limit: z.coerce.number().pipe(logRequestSchema.shape.limit).default(MAX_LOG_LINES),
  level: z.enum(logLevels).default('debug'),
}

export function logRoutes({ peerLogs }: LogModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/logs',
      documentation: {
        summary: 'The last lines of a log',
        description:
          'Asked again with the id of the last line as `after`, it tells what came since.',
        parameters: {
          peer: {
            description: 'Id of the machine; this one without it',
            schema: z.string().optional(),
          },
          after: {
            description: 'Only lines after the one of this id',
            schema: z.number().optional(),
          },
          limit: { description: 'How many lines at most', schema: parameters.limit },
          level: { description: 'The least level of a line', schema: parameters.level },
        },
        answers: {
          200: {
            description: 'The oldest first',
            schema: z.object({ lines: z.array(logLineSchema) }),
          },
          502: { description: 'The machine does not answer, or its comfymesh is too old' },
          503: { description: 'Another machine is asked for, and this agent has no mesh' },
        },
      },
      handle: async (request) => {
        const { peer, after, limit, level } = parsedQuery(parameters, request)
        const asked = { limit, ...(after !== undefined && { after }) }
        const lines = await peerLogs.read(asked, peer).catch(explained)
        const least = logLevels.indexOf(level)
        return json({ lines: lines.filter((line) => logLevels.indexOf(line.level) >= least) })
      },
    },
  ]
}

/** A release that has no such protocol refuses it without a word about logs. */
function explained(error: unknown): never {
  if (!(error instanceof MeshError) || error.code !== 'peer_incompatible') throw error
  const message = `That machine does not tell its log: ${error.message} Bring it to the release of this one.`
  throw new MeshError(error.code, message, { details: error.details, cause: error })
}
