/** The timeline of a job: what happened, or what the plan expects. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { ticksOf, timelineOf } from '../../../../coordinator-ui/src/state/timeline.ts'

const request = { id: 'j', number: 1, prompt: {}, extraData: {}, outputs: [], createdAtMs: 0 }

const plan: Plan = {
  stages: [],
  edges: [],
  placements: ['s1', 's2'].map((stageId, index) => ({
    stageId,
    peerId: index === 0 ? 'a' : 'b',
    peerName: 'x',
    reason: '',
    rejected: [],
    estimate: {
      waitMs: 0,
      loadMs: 200,
      transferMs: 100 * index,
      computeMs: 700,
      startMs: 1000 * index,
      finishMs: 1000 * (index + 1),
      memoryBytes: 0,
    },
  })),
  reason: '',
  totals: { finishMs: 2000, transferBytes: 0 },
}

type Happened = JobEvent extends infer E ? (E extends JobEvent ? Omit<E, 'jobId'> : never) : never

const jobAfter = (...events: readonly Happened[]): JobState =>
  [{ type: 'accepted', atMs: 0, request } as Happened, ...events].reduce<JobState | undefined>(
    (state, event) => foldJob(state, { ...event, jobId: 'j' } as JobEvent),
    undefined,
  )!

const stage = { stageId: 's1', attemptId: 't1' }

t.test('before anything was sent it is the plan', async (t) => {
  const { lengthMs, rows } = timelineOf(jobAfter({ type: 'planned', atMs: 5, plan }), 99)
  t.equal(lengthMs, 2000)
  t.match(rows, [
    {
      peerId: 'a',
      bars: [
        {
          status: 'planned',
          segments: [
            { kind: 'load', startMs: 100, endMs: 300 },
            { kind: 'compute', startMs: 300, endMs: 1000 },
          ],
        },
      ],
    },
    { peerId: 'b', bars: [{ segments: [{ kind: 'transfer', startMs: 1000 }, {}, {}] }] },
  ])
})

t.test('what runs grows with the moment', async (t) => {
  const sent = jobAfter(
    { type: 'started', atMs: 1000 },
    { type: 'planned', atMs: 1000, plan },
    { type: 'stage-started', atMs: 1100, peerId: 'a', ...stage },
  )
  t.strictSame(timelineOf(sent, 1500).rows[0]!.bars[0]!.segments, [
    { kind: 'wait', startMs: 100, endMs: 500 },
  ])
  const began = foldJob(sent, { jobId: 'j', type: 'stage-began', atMs: 1300, ...stage })
  t.strictSame(timelineOf(began, 1500).rows[0]!.bars[0]!.segments, [
    { kind: 'wait', startMs: 100, endMs: 300 },
    { kind: 'compute', startMs: 300, endMs: 500 },
  ])
})

t.test('what finished is divided as it was measured, within its time', async (t) => {
  const done = jobAfter(
    { type: 'started', atMs: 1000 },
    { type: 'planned', atMs: 1000, plan },
    { type: 'stage-started', atMs: 1000, peerId: 'a', ...stage },
    {
      type: 'stage-failed',
      atMs: 1200,
      peerId: 'a',
      blamedPeerId: 'a',
      error: { code: 'runner_died', message: 'gone', details: {} },
      ...stage,
    },
    { type: 'stage-started', atMs: 1200, peerId: 'b', stageId: 's1', attemptId: 't2' },
    {
      type: 'stage-finished',
      atMs: 2200,
      peerId: 'b',
      stageId: 's1',
      attemptId: 't2',
      sessionMs: 1,
      elapsedMs: 1000,
      waitMs: 500,
      transferMs: 100,
      transferBytes: 1,
      computeMs: 600,
      values: [],
    },
    { type: 'completed', atMs: 2300 },
  )
  const { lengthMs, rows } = timelineOf(done, 9999)
  t.equal(lengthMs, 1300, 'its end, however late it is looked at')
  t.match(rows, [
    { peerId: 'a', bars: [{ status: 'failed', segments: [{ kind: 'failed', endMs: 200 }] }] },
    {
      peerId: 'b',
      bars: [
        {
          segments: [
            { kind: 'wait', startMs: 200, endMs: 500 },
            { kind: 'transfer', startMs: 500, endMs: 600 },
            { kind: 'compute', startMs: 600, endMs: 1200 },
          ],
        },
      ],
    },
  ])
})

t.test('the axis has round numbers', async (t) => {
  t.strictSame(ticksOf(1000), [0, 200, 400, 600, 800, 1000])
  t.strictSame(ticksOf(12_345), [0, 5000, 10_000])
  t.strictSame(ticksOf(0), [0])
})
