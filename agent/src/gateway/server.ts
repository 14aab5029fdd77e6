/**
 * The HTTP and WebSocket edge: serves tables of routes and nothing else. What a request
 * means is for the rows, who may ask is for guards.ts, what fails is for failures.ts.
 */
import websocket from '@fastify/websocket'
import fastify, { type FastifyInstance } from 'fastify'
import type { JobRunner } from '../execution/job-runner.ts'
import type { PlanPreview } from '../execution/plan-preview.ts'
import type { QueueTimes } from '../execution/queue-times.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { ModelFolders } from '../models/folders.ts'
import type { Log } from '../telemetry/log.ts'
import { installBodies } from './bodies.ts'
import { cacheControl } from './cache-control.ts'
import { comfyuiRoutes } from './comfyui/routes.ts'
import { createSockets } from './comfyui/sockets.ts'
import { comfyuiFeatures } from './comfyui/system-routes.ts'
import type { UserFiles } from './comfyui/user-files.ts'
import { connectionLimits, limitConnections } from './connections.ts'
import { serveCoordinatorPage } from './coordinator-page.ts'
import { installFailures } from './failures.ts'
import { addRoute, queryOf } from './fastify-routes.ts'
import { serveFrontend } from './frontend.ts'
import { FRONTEND_PATH } from './frontend-folder.ts'
import { routesForFrontend } from './frontend-nodes.ts'
import { gatherSends } from './gathered-sends.ts'
import { type GuardOptions, installGuards } from './guards.ts'
import { countEverything, type GatewayMetricsModules } from './metrics.ts'
import { type AgentIdentity, ownRoutes } from './own-routes.ts'
import { limitMessages, MAX_SOCKET_MESSAGE_BYTES, MAX_SOCKETS } from './socket-limits.ts'
import { createEventMemory } from './v1/event-memory.ts'
import { type V1Modules, v1Routes } from './v1/routes.ts'

export interface GatewayOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly identity: AgentIdentity
  /** The folder of an official ComfyUI frontend, to be served at `/comfy/`. */
  readonly frontend?: string
  /** Of the largest request body. */
  readonly maxUploadBytes: number
  /** Who may use it. */
  readonly guards: GuardOptions
  /** The folder of the built coordinator page, to be served at `/`. */
  readonly page?: string
}

export interface GatewayModules
  extends Pick<
    V1Modules,
    'meshModels' | 'agentState' | 'examine' | 'peerLogs' | 'provenPeers' | 'loadHistory' | 'links'
  > {
  readonly runner: JobRunner
  readonly tensors: GatewayMetricsModules['tensors']
  readonly blobs: GatewayMetricsModules['blobs']
  readonly queueTimes: QueueTimes
  readonly executor: V1Modules['executor']
  readonly planPreview: PlanPreview
  readonly folders: ModelFolders
  readonly userFiles: UserFiles
  /** Absent where the settings switch it off. */
  readonly mesh?: Mesh
  readonly log: Log
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

/** A client that has not even said what it wants by then never will. */
const HEADERS_TIMEOUT_MS = 15_000

/** WebSocket's code for a server that is too busy. */
const TRY_AGAIN_LATER = 1013

export function createGateway(options: GatewayOptions, modules: GatewayModules): Gateway {
  const server = fastify({
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 5000 },
  })
  const features = comfyuiFeatures(options.maxUploadBytes)
  const sockets = createSockets({ ...modules, features })
  const events = createEventMemory(modules)
  const startedAtMs = performance.now()
  let url = ''

  installGuards(server, options.guards)
  installFailures(server, modules.log.warn)
  installBodies(server, { maxBytes: options.maxUploadBytes })
  limitConnections(server.server, connectionLimits)
  sayHowLongToKeep(server)
  endFailedUpgrades(server)
  const metrics = countEverything(server, options.identity, {
    ...modules,
    sockets: () => server.websocketServer.clients.size,
  })
  server.register(websocket, { options: { maxPayload: MAX_SOCKET_MESSAGE_BYTES } })
  if (options.frontend !== undefined) serveFrontend(server, options.frontend)
  if (options.page !== undefined) serveCoordinatorPage(server, options.page)
  // As in ComfyUI, every route exists twice; and a frontend looks for them beside its page.
  const places = options.frontend === undefined ? [''] : ['', FRONTEND_PATH]
  const prefixes = places.flatMap((place) => [place, `${place}/api`])
  server.register(async (scope) => {
    for (const prefix of prefixes) {
      scope.get(`${prefix}/ws`, { websocket: true }, (socket, request) => {
        if (scope.websocketServer.clients.size > MAX_SOCKETS)
          return socket.close(TRY_AGAIN_LATER, 'Too many clients')
        limitMessages(socket)
        gatherSends(socket, request.raw.socket)
        sockets.attach(socket, queryOf(request).get('clientId') ?? undefined)
      })
    }
    const own = ownRoutes({
      identity: options.identity,
      url: () => url,
      uptimeMs: () => Math.round(performance.now() - startedAtMs),
      runner: modules.runner,
      hasFrontend: options.frontend !== undefined,
      hasMesh: modules.mesh !== undefined,
      hasPage: options.page !== undefined,
    })
    const { version } = options.identity
    const { token } = options.guards
    const v1 = v1Routes(
      { version, others: [...own, metrics.route] },
      { ...modules, events, ...(token !== undefined && { token }) },
    )
    for (const route of [...own, metrics.route, ...v1]) addRoute(scope, route, '')
    const comfyui = comfyuiRoutes({ ...modules, sockets, features })
    for (const place of places) {
      const routes = place === FRONTEND_PATH ? routesForFrontend(comfyui, modules) : comfyui
      for (const route of routes) {
        addRoute(scope, route, place)
        if (!route.onlyAtRoot) addRoute(scope, route, `${place}/api`)
      }
    }
  })

  return {
    async start() {
      url = reachable(await server.listen({ host: options.host, port: options.port }))
      return url
    },
    async stop() {
      sockets.close()
      events.close()
      metrics.stop()
      await server.close()
    },
  }
}

/** Says how long an answer may be kept, where its route does not. */
function sayHowLongToKeep(server: FastifyInstance): void {
  server.addHook('onSend', async (request, reply) => {
    const value = cacheControl(request.url.split('?', 1)[0]!, reply.statusCode)
    if (value !== undefined && !reply.hasHeader('cache-control'))
      reply.header('cache-control', value)
  })
}

/** An upgrade that came to nothing leaves a socket that no HTTP server looks after. */
function endFailedUpgrades(server: FastifyInstance): void {
  server.addHook('onResponse', async ({ raw }) => {
    if (raw.headers.upgrade !== undefined) raw.socket.destroy()
  })
}

/** An address to type: one that listens everywhere is reached at localhost too. */
function reachable(listening: string): string {
  return listening.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//127.0.0.1')
}
