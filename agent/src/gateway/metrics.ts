/** GET /metrics: what happens here, for Prometheus. */
import type { FastifyInstance } from 'fastify'
import type { JobRunner } from '../execution/job-runner.ts'
import type { BlobStore } from '../store/blobs.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { Tensors } from '../tensors/tensors.ts'
import type { Route } from './route.ts'

export interface GatewayMetrics {
  readonly route: Route
  stop(): void
}

export interface GatewayMetricsModules {
  readonly runner: JobRunner
  /** How many WebSocket clients are connected. */
  readonly sockets: () => number
  readonly tensors: Pick<Tensors, 'traffic'>
  readonly blobs: Pick<BlobStore, 'totalBytes'>
}

/** Counts the requests of the server and the jobs of the runner from now on. */
export function countEverything(
  server: FastifyInstance,
  { version }: { readonly version: string },
  { runner, sockets, tensors, blobs }: GatewayMetricsModules,
): GatewayMetrics {
  const metrics = createMetrics(
    {
      waiting: () => runner.pending().length,
      running: () => runner.running().length,
      sockets,
      traffic: tensors.traffic,
      storedBytes: blobs.totalBytes,
    },
    { version },
  )
  countRequests(server, metrics)
  const stop = runner.subscribe(({ event, state }) => metrics.jobChanged(event, state))
  return { route: metricsRoute(metrics), stop }
}

function countRequests(server: FastifyInstance, metrics: Metrics): void {
  server.addHook('onResponse', async (request, reply) => {
    metrics.answered({
      method: request.method,
      status: reply.statusCode,
      elapsedMs: reply.elapsedTime,
      receivedBytes: Number(request.headers['content-length']) || 0,
      sentBytes: Number(reply.getHeader('content-length')) || 0,
    })
  })
}

function metricsRoute(metrics: Metrics): Route {
  return {
    method: 'GET',
    path: '/metrics',
    documentation: {
      summary: 'Counts and times for Prometheus',
      answers: { 200: { description: "Prometheus' text format", contentType: 'text/plain' } },
    },
    handle: async () => ({
      status: 200,
      headers: { 'content-type': metrics.contentType, 'cache-control': 'no-store' },
      body: await metrics.text(),
    }),
  }
}
