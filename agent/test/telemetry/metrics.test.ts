import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { noMeasure } from '../stage-measure.ts'

const request = {
  id: 'job',
  number: 1,
  prompt: { 1: { class_type: 'KSampler', inputs: {} } },
  extraData: {},
  outputs: ['1'],
  createdAtMs: 1000,
}

type Happening = JobEvent extends infer E ? (E extends JobEvent ? Omit<E, 'jobId'> : never) : never

function measured(...events: Happening[]) {
  const metrics = createMetrics(
    {
      waiting: () => 3,
      running: () => 1,
      sockets: () => 2,
      traffic: () => ({ receivedBytes: 70, sentBytes: 80 }),
      storedBytes: () => 90,
    },
    { version: '1.2.3' },
  )
  let state: JobState | undefined
  for (const happening of [{ type: 'accepted', atMs: 1000, request } as const, ...events]) {
    const event = { ...happening, jobId: 'job' } as JobEvent
    state = foldJob(state, event)
    metrics.jobChanged(event, state)
  }
  return metrics
}

t.test('a job that completed', async (t) => {
  const metrics = measured(
    { type: 'started', atMs: 3000 },
    { type: 'node-started', atMs: 3000, nodeId: '1', peerId: 'p' },
    { type: 'node-finished', atMs: 7000, nodeId: '1', cached: false, elapsedMs: 4000 },
    {
      type: 'stage-finished',
      ...noMeasure,
      atMs: 7000,
      stageId: 's',
      peerId: 'p',
      provider: 'cpu',
      sessionMs: 3500,
      elapsedMs: 4000,
    },
    { type: 'completed', atMs: 7500 },
  )
  await metrics.text()
  const text = await metrics.text()
  for (const line of [
    'comfymesh_jobs_total{status="completed"} 1',
    'comfymesh_jobs_total{status="failed"} 0',
    'comfymesh_job_duration_seconds_sum{status="completed"} 4.5',
    'comfymesh_job_wait_seconds_sum 2',
    'comfymesh_node_duration_seconds_sum{class="KSampler"} 4',
    'comfymesh_session_seconds_total{provider="cpu"} 3.5',
    'comfymesh_jobs_waiting 3',
    'comfymesh_jobs_running 1',
    'comfymesh_websocket_clients 2',
    'comfymesh_stored_bytes 90',
    'comfymesh_values_received_bytes_total 70',
    'comfymesh_values_sent_bytes_total 80',
    'comfymesh_info{version="1.2.3"} 1',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.match(text, /^process_resident_memory_bytes \d+$/m)
})

t.test('jobs that ended otherwise, and results known already', async (t) => {
  const cancelled = await measured({ type: 'interrupted', atMs: 2000 }).text()
  t.match(cancelled, 'comfymesh_jobs_total{status="interrupted"} 1')
  t.notMatch(cancelled, /duration_seconds_sum\{status="interrupted"/, 'it never ran')
  const known = await measured(
    { type: 'started', atMs: 1000 },
    { type: 'node-finished', atMs: 1000, nodeId: '1', cached: true, elapsedMs: 0 },
    { type: 'completed', atMs: 1001 },
  ).text()
  t.notMatch(known, /class="KSampler"/)
})

t.test('requests', async (t) => {
  const metrics = measured()
  const asked = { method: 'POST', status: 200, elapsedMs: 20 }
  metrics.answered({ ...asked, receivedBytes: 100, sentBytes: 30 })
  metrics.answered({ ...asked, receivedBytes: 1, sentBytes: 0 })
  const text = await metrics.text()
  t.match(text, 'comfymesh_http_request_duration_seconds_count{method="POST",status="200"} 2')
  t.match(text, 'comfymesh_http_received_bytes_total 101')
  t.match(text, 'comfymesh_http_sent_bytes_total 30')
})
