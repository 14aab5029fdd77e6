/**
 * What Prometheus may ask of an agent: https://prometheus.io/docs/practices/naming/. Counted
 * as things happen, so that asking costs next to nothing.
 */
import { isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What is counted when somebody asks, and not before. */
export interface MetricSources {
  /** How many jobs wait. */
  readonly waiting: () => number
  /** How many jobs run. */
  readonly running: () => number
  /** How many WebSocket clients are connected. */
  readonly sockets: () => number
  /** Bytes of values and pictures that went between peers since the start. */
  readonly traffic: () => { readonly receivedBytes: number; readonly sentBytes: number }
  /** What values and pictures take on disk. */
  readonly storedBytes: () => number
}

export interface Metrics {
  readonly contentType: string
  /** In Prometheus' text format. */
  text(): Promise<string>
  jobChanged(event: JobEvent, state: JobState): void
  answered(answer: AnsweredRequest): void
}

/** A request that was answered. */
export interface AnsweredRequest {
  readonly method: string
  readonly status: number
  readonly elapsedMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** From a cached prompt to a night's batch, in seconds. */
const JOB_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]

const REQUEST_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]

export function createMetrics(sources: MetricSources, { version }: { version: string }): Metrics {
  const register = new Registry()
  const registers = [register]
  let isProcessWatched = false
  gauges(sources, { version }, registers)
  trafficCounters(sources, registers)
  const jobs = new Counter({
    name: 'comfymesh_jobs_total',
    help: 'Jobs that ended, by how',
    labelNames: ['status'],
    registers,
  })
  for (const status of ['completed', 'failed', 'interrupted']) jobs.inc({ status }, 0)
  const jobSeconds = new Histogram({
    name: 'comfymesh_job_duration_seconds',
    help: 'How long jobs ran, by how they ended',
    labelNames: ['status'],
    buckets: JOB_SECONDS,
    registers,
  })
  const waitSeconds = new Histogram({
    name: 'comfymesh_job_wait_seconds',
    help: 'How long jobs waited before they began',
    buckets: JOB_SECONDS,
    registers,
  })
  const nodeSeconds = new Histogram({
    name: 'comfymesh_node_duration_seconds',
    help: 'How long nodes ran, by class; those known already are not counted',
    labelNames: ['class'],
    buckets: JOB_SECONDS,
    registers,
  })
  const sessionSeconds = new Counter({
    name: 'comfymesh_session_seconds_total',
    help: 'Bare time inside model sessions, by what computed',
    labelNames: ['provider'],
    registers,
  })
  const answered = requestMetrics(registers)

  return {
    contentType: register.contentType,
    text() {
      // From the first time on: to watch the event loop wakes the process a hundred times a second.
      if (!isProcessWatched) collectDefaultMetrics({ register })
      isProcessWatched = true
      return register.metrics()
    },
    answered,
    jobChanged(event, state) {
      if (event.type === 'started') waitSeconds.observe(waitedMs(state) / 1000)
      if (event.type === 'node-finished' && !event.cached) {
        const { class_type } = state.request.prompt[event.nodeId] ?? { class_type: 'expanded' }
        nodeSeconds.observe({ class: class_type }, event.elapsedMs / 1000)
      }
      if (event.type === 'stage-finished') {
        sessionSeconds.inc({ provider: event.provider ?? 'none' }, event.sessionMs / 1000)
      }
      if (!isFinished(state)) return
      const { status, startedAtMs, finishedAtMs } = state
      jobs.inc({ status })
      if (startedAtMs === undefined || finishedAtMs === undefined) return
      jobSeconds.observe({ status }, (finishedAtMs - startedAtMs) / 1000)
    },
  }
}

function gauges(
  { waiting, running, sockets, storedBytes }: MetricSources,
  { version }: { version: string },
  registers: Registry[],
): void {
  const rows = [
    ['comfymesh_jobs_waiting', 'Jobs that wait', waiting],
    ['comfymesh_jobs_running', 'Jobs that run', running],
    ['comfymesh_websocket_clients', 'WebSocket clients that are connected', sockets],
    ['comfymesh_stored_bytes', 'What values and pictures of stages take on disk', storedBytes],
  ] as const
  for (const [name, help, read] of rows) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  new Gauge({
    name: 'comfymesh_info',
    help: 'What runs',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1)
}

function trafficCounters({ traffic }: MetricSources, registers: Registry[]): void {
  const rows = [
    ['received', 'Bytes of values that came from other peers', 'receivedBytes'],
    ['sent', 'Bytes of values that went to other peers', 'sentBytes'],
  ] as const
  for (const [direction, help, key] of rows) {
    new Counter({
      name: `comfymesh_values_${direction}_bytes_total`,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(traffic()[key])
      },
    })
  }
}

function requestMetrics(registers: Registry[]): Metrics['answered'] {
  const seconds = new Histogram({
    name: 'comfymesh_http_request_duration_seconds',
    help: 'How long requests took, by method and status',
    labelNames: ['method', 'status'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const received = new Counter({
    name: 'comfymesh_http_received_bytes_total',
    help: 'Bytes of request bodies',
    registers,
  })
  const sent = new Counter({
    name: 'comfymesh_http_sent_bytes_total',
    help: 'Bytes of answers whose length was known',
    registers,
  })
  return ({ method, status, elapsedMs, receivedBytes, sentBytes }) => {
    seconds.observe({ method, status }, elapsedMs / 1000)
    received.inc(receivedBytes)
    sent.inc(sentBytes)
  }
}

function waitedMs({ request, startedAtMs }: JobState): number {
  return Math.max(0, (startedAtMs ?? request.createdAtMs) - request.createdAtMs)
}
