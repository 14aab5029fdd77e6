import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import { timeKey } from '../../src/planning/learned-times.ts'
import type { NodeWork } from '../../src/planning/node-work.ts'
import {
  estimateJobMs,
  forecastQueue,
  observationsOf,
  remainingJobMs,
} from '../../src/planning/queue-forecast.ts'

const work = (nodeId: string, more: Partial<NodeWork> = {}): NodeWork => ({
  nodeId,
  classType: `C${nodeId}`,
  model: '',
  work: 1,
  content: nodeId,
  ...more,
})
const works = [work('1'), work('2'), work('3')]
const learned = (
  peerId: string,
  ms: Record<string, number>,
): [string, { work: number; elapsedMs: number }[]][] =>
  Object.entries(ms).map(([id, elapsedMs]) => [
    timeKey({ peerId, classType: `C${id}`, model: '' }),
    [{ work: 1, elapsedMs }],
  ])
const all = new Map(learned('p', { 1: 10, 2: 200, 3: 30 }))

type Change = Partial<JobEvent> & { type: JobEvent['type'] }

function job(...changes: Change[]): JobState {
  const request = { id: 'j', number: 1, prompt: {}, extraData: {}, outputs: ['3'], createdAtMs: 0 }
  const stage = {
    id: 's',
    index: 0,
    after: [],
    outputs: [],
    nodes: ['1', '2', '3'].map((id) => ({ id, classType: `C${id}`, inputs: {}, signature: id })),
  }
  const plan = {
    stages: [stage],
    placements: [{ stageId: 's', peerId: 'p', peerName: 'P', reason: '', rejected: [] }],
  }
  const events = [
    { type: 'accepted', request },
    { type: 'started' },
    { type: 'planned', plan },
    ...changes,
  ]
  return events.reduce<JobState | undefined>(
    (state, event) => foldJob(state, { atMs: 1000, ...event, jobId: 'j' } as unknown as JobEvent),
    undefined,
  )!
}

t.test('a job takes as long as its nodes, on the peer that has it done first', async (t) => {
  t.equal(estimateJobMs(all, works, ['p'], new Set()), 240)
  t.equal(estimateJobMs(all, works, ['p'], new Set(['2'])), 40, 'but those whose result is there')
  const two = new Map([...all, ...learned('q', { 1: 5, 2: 100, 3: 15 })])
  t.equal(estimateJobMs(two, works, ['p', 'q'], new Set()), 120)
  t.equal(estimateJobMs(all, works, ['q', 'p'], new Set()), 240, 'q knows nothing yet')
  t.equal(estimateJobMs(all, [...works, work('4')], ['p'], new Set()), undefined)
  t.equal(estimateJobMs(all, works, [], new Set()), undefined)
})

t.test('what is left of a job that runs', async (t) => {
  const left = (...changes: Change[]) => remainingJobMs(all, job(...changes), works, 1050)
  t.equal(left(), 240)
  t.equal(left({ type: 'nodes-cached', nodeIds: ['2'], outputs: {} }), 40)
  const started: Change = { type: 'node-started', nodeId: '2', peerId: 'p' }
  const first: Change = { type: 'node-finished', nodeId: '1', cached: false, elapsedMs: 10 }
  t.equal(left(first, started), 180, '50 ms of 200 passed')
  t.equal(left(first, started, { type: 'node-progress', nodeId: '2', value: 3, max: 4 }), 80)
})

t.test('the steps of a node that never ran before tell its time', async (t) => {
  const known = new Map(learned('p', { 1: 10, 3: 30 }))
  const left = (...changes: Change[]) => remainingJobMs(known, job(...changes), works, 1050)
  const started: Change = { type: 'node-started', nodeId: '2', peerId: 'p' }
  t.equal(left(started), undefined)
  t.equal(left(started, { type: 'node-progress', nodeId: '2', value: 1, max: 4 }), 190)
})

t.test('what ran is learned, what was cached is not', async (t) => {
  const done = job(
    { type: 'node-started', nodeId: '1', peerId: 'p' },
    { type: 'node-finished', nodeId: '1', cached: false, elapsedMs: 12 },
    { type: 'node-finished', nodeId: '2', cached: true, elapsedMs: 0 },
    { type: 'node-started', nodeId: '3', peerId: 'p' },
    { type: 'interrupted' },
  )
  t.strictSame(observationsOf(done, works), [
    { peerId: 'p', classType: 'C1', model: '', work: 1, elapsedMs: 12 },
  ])
})

t.test('a queue ends when its last job does', async (t) => {
  t.strictSame(forecastQueue([50], [100, 200], 1), { startsInMs: [50, 150], remainingMs: 350 })
  t.strictSame(forecastQueue([], [], 1), { startsInMs: [], remainingMs: 0 })
  t.strictSame(forecastQueue([50, 80], [100, 10, 10], 2), {
    startsInMs: [50, 80, 90],
    remainingMs: 150,
  })
})

t.test('behind what is not known nothing is', async (t) => {
  t.strictSame(forecastQueue([50], [undefined, 200], 1), {
    startsInMs: [50, undefined],
    remainingMs: undefined,
  })
  t.strictSame(forecastQueue([undefined], [5], 1), {
    startsInMs: [undefined],
    remainingMs: undefined,
  })
})
