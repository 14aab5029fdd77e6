/**
 * The HTTP and WebSocket edge: serves tables of routes and nothing else. What a
 * request means is for the rows; this file alone knows the web framework.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import websocket from '@fastify/websocket'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { JobRunner } from '../execution/job-runner.ts'
import type { ModelFolders } from '../models/folders.ts'
import { cacheControl } from './cache-control.ts'
import { comfyuiRoutes } from './comfyui/routes.ts'
import { createSockets } from './comfyui/sockets.ts'
import { MAX_UPLOAD_BYTES } from './comfyui/system-routes.ts'
import { refusal } from './edge.ts'
import { serveFrontend } from './frontend.ts'
import { FRONTEND_PATH } from './frontend-folder.ts'
import { type AgentIdentity, ownRoutes } from './own-routes.ts'
import { type Answer, empty, json, type Request, type Route, text } from './route.ts'
import { jobRoutes } from './v1/job-routes.ts'

export interface GatewayOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly identity: AgentIdentity
  /** The folder of an official ComfyUI frontend, to be served at `/comfy/`. */
  readonly frontend?: string
}

export interface GatewayModules {
  readonly runner: JobRunner
  readonly folders: ModelFolders
  readonly warn: (message: string, error?: unknown) => void
}

export interface Gateway {
  /** @returns where it is reached. @throws Error `EADDRINUSE` when the port is taken. */
  start(): Promise<string>
  /** Ends all connections. */
  stop(): Promise<void>
}

/** ComfyUI's prompts embed whole workflows, and its userdata has long names. */
const MAX_PARAMETER_LENGTH = 4096

/** Long enough for the largest upload over a slow network, and not for ever. */
const REQUEST_TIMEOUT_MS = 5 * 60 * 1000

/** All that a client ever says is which features it has. */
const MAX_SOCKET_MESSAGE_BYTES = 1024 * 1024

/** aiohttp's words, which some clients look for. */
const SERVER_ERROR = '500 Internal Server Error\n\nServer got itself in trouble'

export function createGateway(options: GatewayOptions, modules: GatewayModules): Gateway {
  const server = fastify({
    bodyLimit: MAX_UPLOAD_BYTES,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
  })
  const sockets = createSockets(modules)
  const startedAtMs = performance.now()
  let url = ''

  guard(server, modules.warn)
  server.register(websocket, { options: { maxPayload: MAX_SOCKET_MESSAGE_BYTES } })
  if (options.frontend !== undefined) serveFrontend(server, options.frontend)
  // As in ComfyUI, every route exists twice; and a frontend looks for them beside its page.
  const places = options.frontend === undefined ? [''] : ['', FRONTEND_PATH]
  const prefixes = places.flatMap((place) => [place, `${place}/api`])
  server.register(async (scope) => {
    for (const prefix of prefixes) {
      scope.get(`${prefix}/ws`, { websocket: true }, (socket, request) => {
        sockets.attach(socket, queryOf(request).get('clientId') ?? undefined)
      })
    }
    const own = ownRoutes({
      identity: options.identity,
      url: () => url,
      uptimeMs: () => Math.round(performance.now() - startedAtMs),
      runner: modules.runner,
      hasFrontend: options.frontend !== undefined,
    })
    for (const route of [...own, ...jobRoutes(modules)]) addRoute(scope, route, '')
    for (const route of comfyuiRoutes(modules)) {
      for (const prefix of prefixes) addRoute(scope, route, prefix)
    }
  })

  return {
    async start() {
      url = reachable(await server.listen({ host: options.host, port: options.port }))
      return url
    },
    async stop() {
      sockets.close()
      await server.close()
    },
  }
}

/** What holds for every request: who may ask, any content type, ComfyUI's plain errors. */
function guard(server: FastifyInstance, warn: GatewayModules['warn']): void {
  // Clients send JSON as text, as a form, or with no type; and settings as plain text.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body)
  })
  server.addHook('onRequest', async (request, reply) => {
    const refused = refusal(request.headers)
    if (refused !== undefined) return send(reply, text(refused, 403))
    if (request.method === 'OPTIONS') return send(reply, empty())
    // As in ComfyUI, a body is read whatever it is called; fastify refuses what is no media type.
    const type = request.headers['content-type']
    if (type !== undefined && !/^multipart\/form-data\b/i.test(type))
      request.headers['content-type'] = 'application/octet-stream'
  })
  server.addHook('onSend', async (request, reply) => {
    const value = cacheControl(pathOf(request), reply.statusCode)
    if (value !== undefined && !reply.hasHeader('cache-control'))
      reply.header('cache-control', value)
  })
  // An upgrade that came to nothing leaves a socket that no HTTP server looks after.
  server.addHook('onResponse', async ({ raw }) => {
    if (raw.headers.upgrade !== undefined) raw.socket.destroy()
  })
  server.setNotFoundHandler((_request, reply) => send(reply, text('404: Not Found', 404)))
  server.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    if (error instanceof MeshError) return send(reply, failure(error))
    const status = error.statusCode ?? 500
    if (status < 500) return send(reply, text(`${status}: ${error.message}`, status))
    // JSON that cannot be read is the client's fault, but ComfyUI calls it its own.
    if (!(error instanceof SyntaxError)) warn(`${request.method} ${request.url} failed`, error)
    return send(reply, text(SERVER_ERROR, 500))
  })
}

/** What went wrong here and what to do, in the shape in which clients show errors of a prompt. */
function failure({ code, message, retryable }: MeshError): Answer {
  const error = { type: code, message, details: '', extra_info: {} }
  return json({ error, node_errors: {} }, retryable ? 503 : 500)
}

function addRoute(server: FastifyInstance, route: Route, prefix: string): void {
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

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0]!
}

function queryOf({ url }: FastifyRequest): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : url.slice(start + 1))
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body ?? '')
}

/** An address to type: one that listens everywhere is reached at localhost too. */
function reachable(listening: string): string {
  return listening.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//127.0.0.1')
}
