/**
 * How /v1 answers: every error in one shape, `{ error: { code, message, details } }`, with the
 * status that belongs to its code.
 */
import { type ErrorCode, type ErrorReport, errorCodes, MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'

const statuses: { readonly [code in ErrorCode]?: number } = {
  invalid_request: 400,
  invalid_prompt: 400,
  invite_refused: 400,
  malformed_file: 422,
  unsupported_model: 422,
  forbidden: 403,
  not_a_member: 403,
  not_found: 404,
  interrupted: 409,
  duplicate_identity: 409,
  peer_unreachable: 502,
  peer_incompatible: 502,
  mesh_unavailable: 503,
  out_of_memory: 503,
  no_peer: 503,
  busy: 503,
  storage_failed: 507,
}

export const errorSchema = z.object({
  error: z.object({
    code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    message: z.string().describe('What happened, to what, and what to do about it'),
    details: z.record(z.string(), z.unknown()),
  }),
})

/** The routes with their errors in the shape of /v1. Bugs are for the gateway to log. */
export function withErrors(routes: readonly Route[]): Route[] {
  return routes.map((route) => ({
    ...route,
    handle: async (request) => {
      try {
        return await route.handle(request)
      } catch (error) {
        const known = asMeshError(error)
        if (known === undefined) throw error
        return errorAnswer(known.toReport())
      }
    },
  }))
}

export function errorAnswer(error: ErrorReport): Answer {
  return json({ error }, statuses[error.code] ?? 500)
}

function asMeshError(error: unknown): MeshError | undefined {
  if (error instanceof MeshError) return error
  const invalid = (message: string) => new MeshError('invalid_request', message, { cause: error })
  if (error instanceof z.ZodError) return invalid(z.prettifyError(error))
  if (error instanceof SyntaxError) return invalid(`The body is no JSON: ${error.message}.`)
  return undefined
}

/** @throws MeshError `invalid_request` by way of ZodError and SyntaxError. */
export function parsedBody<T>(schema: z.ZodType<T>, request: Request): T {
  return schema.parse(jsonBody(request))
}

/** The parameters of the query that the schemas name. @throws ZodError */
export function parsedQuery<Shape extends z.ZodRawShape>(
  shape: Shape,
  { query }: Request,
): z.infer<z.ZodObject<Shape>> {
  return z.object(shape).parse(Object.fromEntries(query))
}

/** `true`, `1`, or nothing behind the name. */
export const switchParameter = z
  .enum(['', '1', 'true', '0', 'false'])
  .transform((value) => value !== '0' && value !== 'false')
  .optional()
