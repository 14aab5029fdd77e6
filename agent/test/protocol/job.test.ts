/** How events fold into the state of a job. */
import {
  foldJob,
  isFinished,
  type JobEvent,
  type JobState,
  jobEventSchema,
  optionsOf,
  plansOf,
} from '@comfymesh/protocol/job'
import { summariseJob } from '@comfymesh/protocol/job-summary'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Placement, Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { noMeasure } from '../stage-measure.ts'

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
      ...noMeasure,
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
    { ...noMeasure, stageId: 's', peerId: 'p', provider: 'cpu', sessionMs: 5, elapsedMs: 12 },
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
})

const error = { code: 'runner_died', message: 'died', details: {} } as const
/** A plan: peers by stage, whose nodes are called as the stage and a digit. */
function planOf(peers: { [stageId: string]: string }, more: Partial<Plan> = {}): Plan {
  const ids = Object.keys(peers)
  const node = { classType: 'X', inputs: {}, signature: '' }
  return {
    stages: ids.map((id) => ({
      id,
      index: 0,
      nodes: ['1', '2'].map((digit) => ({ ...node, id: id + digit })),
      after: [],
      outputs: [],
    })),
    edges: [],
    placements: ids.map((stageId) => ({
      stageId,
      peerId: peers[stageId]!,
      peerName: peers[stageId]!,
      reason: '',
      estimate: {} as Placement['estimate'],
      rejected: [],
    })),
    reason: '',
    totals: { finishMs: 1, transferBytes: 0 },
    ...more,
  }
}
const sent = (stageId: string, peerId: string, attemptId: string): Change => ({
  type: 'stage-started',
  stageId,
  peerId,
  attemptId,
})
const finishedStage = (stageId: string, peerId: string, attemptId: string): Change => ({
  ...noMeasure,
  type: 'stage-finished',
  stageId,
  peerId,
  attemptId,
  sessionMs: 1,
  elapsedMs: 2,
  transferBytes: 100,
})
const attempts = (state: JobState) =>
  state.attempts.map(({ attemptId, peerId, status }) => [attemptId, peerId, status])

t.test('a stage that fails on one peer and is finished by another', async (t) => {
  const first = [
    accepted,
    { type: 'started' },
    { type: 'planned', plan: planOf({ a: 'p', b: 'q' }) },
    sent('a', 'p', 'a-1'),
    sent('b', 'q', 'b-1'),
    { type: 'stage-began', stageId: 'a', attemptId: 'a-1' },
    { type: 'node-started', nodeId: 'a1', peerId: 'p' },
    { type: 'node-finished', nodeId: 'a1', cached: false, elapsedMs: 1 },
    { type: 'node-started', nodeId: 'b1', peerId: 'q' },
    { type: 'stage-failed', stageId: 'a', peerId: 'p', attemptId: 'a-1', error, blamedPeerId: 'p' },
  ] satisfies Change[]
  const failed = fold(...first)
  t.match(failed.attempts[0], { status: 'failed', beganAtMs: 6, endedAtMs: 10, error })
  const planned = [...first, { type: 'planned', plan: planOf({ a: 'q', b: 'q' }) }] as Change[]
  t.strictSame(
    nodes(fold(...planned)).map(({ nodeId }) => nodeId),
    ['b1'],
    'what runs on goes on; what runs again begins anew',
  )
  t.equal(plansOf(fold(...planned)).length, 2)
  const done = fold(
    ...planned,
    sent('a', 'q', 'a-2'),
    sent('a', 'q', 'a-2'),
    finishedStage('a', 'q', 'a-2'),
    finishedStage('a', 'p', 'a-1'),
  )
  t.strictSame(attempts(done), [
    ['a-1', 'p', 'failed'],
    ['b-1', 'q', 'sent'],
    ['a-2', 'q', 'finished'],
  ])
  t.strictSame(
    done.stages.map(({ attemptId }) => attemptId),
    ['a-2'],
    'one result a stage',
  )
  t.equal(done.transferBytes, 100)
})

t.test('what is told twice changes nothing', async (t) => {
  const told: Change[] = [
    accepted,
    { type: 'started' },
    { type: 'planned', plan: planOf({ a: 'p', b: 'q' }) },
    { type: 'nodes-cached', nodeIds: ['1'], outputs: {} },
    sent('a', 'p', 'a-1'),
    { type: 'stage-began', stageId: 'a', attemptId: 'a-1' },
    { type: 'node-started', nodeId: 'a1', peerId: 'p' },
    { type: 'node-progress', nodeId: 'a1', value: 3, max: 20 },
    { type: 'stage-failed', stageId: 'a', peerId: 'p', attemptId: 'a-1', error, blamedPeerId: 'p' },
    { type: 'planned', plan: planOf({ a: 'q', b: 'q' }) },
    sent('a', 'q', 'a-2'),
    { type: 'stage-began', stageId: 'a', attemptId: 'a-2' },
    { type: 'node-started', nodeId: 'a1', peerId: 'q' },
    { type: 'node-finished', nodeId: 'a1', cached: false, elapsedMs: 1 },
    finishedStage('a', 'q', 'a-2'),
    { type: 'requeued' },
    { type: 'completed' },
  ]
  let state: JobState | undefined
  for (const [index, change] of told.entries()) {
    const event = { ...change, jobId: 'j', atMs: index } as JobEvent
    const once = foldJob(state, event)
    state = foldJob(once, structuredClone(event))
    t.strictSame(state, once, change.type)
  }
  const late = { type: 'stage-began', stageId: 'a', attemptId: 'a-1' } as const
  const before = fold(...told.slice(0, 9))
  t.strictSame(foldJob(before, { ...late, jobId: 'j', atMs: 50 }), before, 'after its failure')
})

t.test('attempts that nobody waits for any more are given up', async (t) => {
  const begun: Change[] = [
    accepted,
    { type: 'started' },
    { type: 'planned', plan: planOf({ a: 'p', b: 'q' }) },
    sent('a', 'p', 'a-1'),
    sent('b', 'q', 'b-1'),
  ]
  const moved = fold(...begun, { type: 'planned', plan: planOf({ a: 'p', b: 'r' }) })
  t.strictSame(attempts(moved), [
    ['a-1', 'p', 'sent'],
    ['b-1', 'q', 'given-up'],
  ])
  t.strictSame(
    attempts(fold(...begun, sent('a', 'q', 'a-2'))).map(([, , status]) => status),
    ['given-up', 'sent', 'sent'],
    'another attempt at the same stage',
  )
  t.strictSame(
    attempts(fold(...begun, { type: 'interrupted' })).map(([, , status]) => status),
    ['given-up', 'given-up'],
  )
})

t.test('a restart of this agent ends nothing elsewhere', async (t) => {
  const plan = planOf({ a: 'p', b: 'q' })
  const before: Change[] = [
    accepted,
    { type: 'started' },
    { type: 'planned', plan },
    sent('a', 'p', 'a-1'),
    finishedStage('a', 'p', 'a-1'),
    sent('b', 'q', 'b-1'),
    { type: 'node-started', nodeId: 'b1', peerId: 'q' },
  ]
  const { request: _request, ...requeued } = fold(...before, { type: 'requeued' })
  t.match(requeued, { status: 'queued', nodes: [], plan, stages: [{ stageId: 'a' }] })
  t.strictSame(attempts(fold(...before, { type: 'requeued' })), [
    ['a-1', 'p', 'finished'],
    ['b-1', 'q', 'sent'],
  ])
})

t.test('a question and its answers', async (t) => {
  const extraData = { comfymesh: { affinity: { A: 'gone', B: 'p' }, fallback: 'ask' } }
  const plan = planOf({ a: 'p' }, { question: 'p instead?', unmet: ['A'] })
  const asked: Change[] = [
    { ...accepted, request: { ...request, extraData } },
    { type: 'started' },
    { type: 'paused', question: 'p instead?', plan },
  ]
  const paused = fold(...asked)
  t.match(paused, { status: 'paused', pause: { question: 'p instead?', plan, atMs: 3 } })
  t.notOk(isFinished(paused))
  t.equal(summariseJob(paused).question, 'p instead?')
  const go = fold(...asked, { type: 'answered', answer: 'go' })
  t.equal(go.status, 'queued')
  t.notOk('pause' in go)
  t.strictSame(optionsOf(go), { affinity: { B: 'p' }, fallback: 'auto' }, 'not asked for again')
  const other = fold(...asked, { type: 'answered', answer: { peer: 'q' } }, { type: 'started' })
  t.strictSame(optionsOf(other), { affinity: { A: 'q', B: 'p' }, fallback: 'ask' })
  const cancelled = fold(...asked, { type: 'answered', answer: 'cancel' }, { type: 'interrupted' })
  t.equal(cancelled.status, 'interrupted')
  t.notOk('pause' in cancelled)
  t.equal(fold(...asked.slice(0, 2), { type: 'answered', answer: 'go' }).status, 'running')
})

t.test('what earlier releases wrote of a stage is read', async (t) => {
  const event = { type: 'stage-finished', jobId: 'j', atMs: 1, stageId: 's', peerId: 'p' }
  const read = jobEventSchema.parse({ ...event, sessionMs: 1, elapsedMs: 2 })
  t.match(read, { attemptId: '', waitMs: 0, transferBytes: 0, values: [] })
})

t.test('a cached output node is finished at once', async (t) => {
  const outputs = { 3: { text: ['x'] } }
  const state = fold(
    accepted,
    { type: 'started' },
    { type: 'nodes-cached', nodeIds: ['1', '3'], outputs, warnings: { 1: ['half'] } },
  )
  t.strictSame(nodes(state), [node('3', 'finished', 1)])
  t.strictSame(state.cached?.warnings, { 1: ['half'] })
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
