/** How events fold into the state of a job. */
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobState,
  jobEventSchema,
} from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'

const request = {
  id: 'j',
  number: 3,
  prompt: { 1: { class_type: 'TN_Seed', inputs: { seed: 18446744073709551615n } } },
  extraData: { client_id: 'c' },
  outputs: ['3'],
  createdAtMs: 1,
}
type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never
type Change = WithoutStamp<JobEvent>

const accepted = { type: 'accepted', request } satisfies Change
const node = (nodeId: string, status: string, value: number, max = 1) => ({
  nodeId,
  status,
  value,
  max,
})

function fold(...changes: Change[]): JobState {
  let state: JobState | undefined
  let atMs = 0
  for (const change of changes)
    state = foldJob(state, { ...change, jobId: 'j', atMs: ++atMs } as JobEvent)
  return state!
}

const nodes = (state: JobState) =>
  state.nodes.map(({ nodeId, status, value, max }) => ({ nodeId, status, value, max }))

t.test('from the queue to completion', async (t) => {
  const queued = fold(accepted)
  t.match(queued, { status: 'queued', request, nodes: [], outputs: {} })
  t.notOk(isFinished(queued))
  const half = [
    accepted,
    { type: 'started' },
    { type: 'nodes-cached', nodeIds: ['1'], outputs: {} },
    { type: 'node-started', nodeId: '2', peerId: 'p' },
    { type: 'node-progress', nodeId: '2', value: 3, max: 20 },
  ] satisfies Change[]
  t.match(fold(...half), { status: 'running', startedAtMs: 2, cached: { nodeIds: ['1'], atMs: 3 } })
  t.strictSame(nodes(fold(...half)), [node('2', 'running', 3, 20)])
  const done = fold(
    ...half,
    { type: 'node-finished', nodeId: '2', cached: false, elapsedMs: 9 },
    { type: 'node-started', nodeId: '3', peerId: 'p' },
    { type: 'node-finished', nodeId: '3', cached: false, elapsedMs: 1, output: { text: ['x'] } },
    {
      type: 'stage-finished',
      stageId: 's',
      peerId: 'p',
      provider: 'cpu',
      sessionMs: 5,
      elapsedMs: 12,
    },
    { type: 'completed' },
  )
  t.strictSame(nodes(done), [node('2', 'finished', 20, 20), node('3', 'finished', 1)])
  t.match(done, { status: 'completed', finishedAtMs: 10, outputs: { 3: { text: ['x'] } } })
  t.strictSame(done.stages, [
    { stageId: 's', peerId: 'p', provider: 'cpu', sessionMs: 5, elapsedMs: 12 },
  ])
  t.ok(isFinished(done))
})

t.test('nothing happens after the end', async (t) => {
  const error = { code: 'node_failed', message: 'boom', details: {} } as const
  const failed = fold(accepted, { type: 'started' }, { type: 'failed', error, nodeId: '2' })
  t.match(failed, { status: 'failed', error, endNodeId: '2' })
  const late: JobEvent = { type: 'completed', jobId: 'j', atMs: 99 }
  t.equal(foldJob(failed, late), failed)
  t.equal(foldJob(failed, { type: 'requeued', jobId: 'j', atMs: 99 }), failed)
})

t.test('another attempt begins anew but keeps what was saved', async (t) => {
  const output = { images: [{ filename: 'a.png' }] }
  const before = [
    accepted,
    { type: 'started' },
    { type: 'nodes-cached', nodeIds: [], outputs: {} },
    { type: 'node-finished', nodeId: '3', cached: false, elapsedMs: 1, output },
  ] satisfies Change[]
  const requeued = fold(...before, { type: 'requeued' })
  t.strictSame(requeued, { ...fold(accepted), outputs: { 3: output } })
  const error = { code: 'runner_died', message: 'died', details: {} } as const
  const retried = fold(...before, { type: 'retried', error })
  t.match(retried, { status: 'running', nodes: [], outputs: { 3: output } })
  t.ok(retried.cached, 'what was cached is told once')
})

t.test('a cached output node is finished at once', async (t) => {
  const outputs = { 3: { text: ['x'] } }
  const state = fold(
    accepted,
    { type: 'started' },
    { type: 'nodes-cached', nodeIds: ['1', '3'], outputs },
  )
  t.strictSame(nodes(state), [node('3', 'finished', 1)])
  t.strictSame(state.outputs, outputs)
})

t.test('a job begins with its acceptance', async (t) => {
  t.throws(
    () => foldJob(undefined, { type: 'started', jobId: 'j', atMs: 1 }),
    /begins with started/,
  )
})

t.test('events survive the disk', async (t) => {
  const event = { ...accepted, jobId: 'j', atMs: 1 }
  t.strictSame(jobEventSchema.parse(parseJson(stringifyJson(event))), event)
  t.throws(() => jobEventSchema.parse({ ...event, type: 'unheard-of' }))
  t.throws(() => jobEventSchema.parse({ ...event, request: { ...request, outputs: 'x' } }))
})
