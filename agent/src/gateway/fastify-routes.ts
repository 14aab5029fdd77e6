/** Between the web framework's requests and answers and those of route.ts. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Answer, Request, Route } from './route.ts'

export function addRoute(server: FastifyInstance, route: Route, prefix: string): void {
  server.route({
    method: route.method,
    url: prefix + route.path,
    handler: async (request, reply) => send(reply, await route.handle(requestOf(request))),
  })
}

function requestOf(request: FastifyRequest): Request {
  const headers = Object.entries(request.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ])
  return {
    params: request.params as { [name: string]: string },
    query: queryOf(request),
    headers: Object.fromEntries(headers),
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}

export function queryOf({ url }: FastifyRequest): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : url.slice(start + 1))
}

export function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body ?? '')
}
