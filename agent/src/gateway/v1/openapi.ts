/**
 * The OpenAPI 3.1 document of our API, made of the documentation that stands beside each
 * route's handler: https://spec.openapis.org/oas/v3.1.1
 */
import type { JsonObject } from '@comfymesh/protocol/json'
import { z } from 'zod'
import type { AnswerDocumentation, Route, RouteDocumentation } from '../route.ts'
import { errorSchema } from './answers.ts'

export interface OpenapiInfo {
  readonly version: string
}

/** @param routes those without documentation are left out. */
export function openapiDocument(routes: readonly Route[], { version }: OpenapiInfo): JsonObject {
  const paths: { [path: string]: JsonObject } = {}
  for (const { method, path, documentation } of routes) {
    if (documentation === undefined) continue
    const template = path.replaceAll(/:(\w+)/g, '{$1}')
    paths[template] = {
      ...paths[template],
      [method.toLowerCase()]: operation(method, path, documentation),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'comfymesh',
      version,
      description:
        "comfymesh's own API. The agent also speaks ComfyUI's, at / and /api, with its WebSocket at /ws.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: { Error: jsonSchema(errorSchema) },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'Asked for when others than this machine can reach the agent',
        },
      },
    },
  }
}

function operation(method: string, path: string, documentation: RouteDocumentation): JsonObject {
  const { summary, description, body, answers } = documentation
  return {
    operationId: operationId(method, path),
    tags: [path.split('/')[2] ?? 'agent'],
    summary,
    ...(description !== undefined && { description }),
    parameters: parametersOf(path, documentation),
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: jsonSchema(body, 'input') } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, response(status, answer)]),
      ),
      default: { description: 'What went wrong', content: ERROR_CONTENT },
    },
  }
}

/** `getJobsIdOutput` */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1')
  const capital = (word: string) => word[0]!.toUpperCase() + word.slice(1)
  return method.toLowerCase() + words.map(capital).join('')
}

function parametersOf(path: string, { parameters = {} }: RouteDocumentation): JsonObject[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!)
  const inQuery = Object.keys(parameters).filter((name) => !inPath.includes(name))
  return [
    ...inPath.map((name) => ({ name, in: 'path', required: true })),
    ...inQuery.map((name) => ({ name, in: 'query' })),
  ].map((parameter) => {
    const { description, schema } = parameters[parameter.name] ?? {}
    return {
      ...parameter,
      ...(description !== undefined && { description }),
      schema: schema ? jsonSchema(schema) : { type: 'string' },
    }
  })
}

const ERROR_CONTENT = {
  'application/json': { schema: { $ref: '#/components/schemas/Error' } },
}

function response(
  status: string,
  { description, schema, contentType }: AnswerDocumentation,
): JsonObject {
  const content: JsonObject = {
    ...(contentType !== undefined && { [contentType]: { schema: {} } }),
    ...(schema && { 'application/json': { schema: jsonSchema(schema) } }),
    ...(Number(status) >= 400 && !schema && ERROR_CONTENT),
  }
  return { description, ...(Object.keys(content).length > 0 && { content }) }
}

/** What has no form in JSON Schema, such as a check by a function, is anything there. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'output'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { unrepresentable: 'any', io })
  return rest as JsonObject
}
