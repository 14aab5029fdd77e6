import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { reportJson, summaryLines } from '../../src/cli/job-summary.ts'
import {
  type JobTrace,
  preparationMs,
  stepsPerSecond,
  tracedSoFar,
  traceJob,
} from '../../src/cli/job-trace.ts'
import { createProgressDisplay, liveLine } from '../../src/cli/progress-display.ts'
import { noMeasure } from '../stage-measure.ts'
import { interactiveTerminal, plainTerminal } from './terminals.ts'

const prompt: Prompt = {
  '1': { class_type: 'CheckpointLoaderSimple', inputs: {} },
  '2': { class_type: 'KSampler', inputs: {}, _meta: { title: 'Sample' } },
  '3': { class_type: 'SaveImage', inputs: {} },
}

const stamp = (atMs: number) => ({ jobId: 'job', atMs })
const planned = ['1', '2', '3'].map((id) => ({ id, classType: 'x', inputs: {}, signature: id }))

const events: JobEvent[] = [
  {
    ...stamp(1000),
    type: 'accepted',
    request: { id: 'job', number: 1, prompt, extraData: {}, outputs: ['3'], createdAtMs: 1000 },
  },
  { ...stamp(1000), type: 'started' },
  {
    ...stamp(1000),
    type: 'planned',
    plan: {
      stages: [{ id: 's', index: 0, nodes: planned, after: [], outputs: [] }],
      edges: [],
      placements: [
        {
          stageId: 's',
          peerId: 'p',
          peerName: 'studio-pc',
          reason: 'only peer',
          estimate: {
            waitMs: 0,
            loadMs: 0,
            transferMs: 0,
            computeMs: 2000,
            startMs: 0,
            finishMs: 2000,
            memoryBytes: 0,
          },
          rejected: [],
        },
      ],
      reason: 'studio-pc runs everything, so nothing travels',
      totals: { finishMs: 2000, transferBytes: 0 },
    },
  },
  { ...stamp(1000), type: 'node-finished', nodeId: '1', cached: true, elapsedMs: 0 },
  { ...stamp(1000), type: 'node-started', nodeId: '2', peerId: 'p' },
  { ...stamp(2100), type: 'node-progress', nodeId: '2', value: 1, max: 11 },
  { ...stamp(3100), type: 'node-progress', nodeId: '2', value: 11, max: 11 },
  { ...stamp(3200), type: 'node-finished', nodeId: '2', cached: false, elapsedMs: 2200 },
  { ...stamp(3200), type: 'node-started', nodeId: '3', peerId: 'p' },
  { ...stamp(3240), type: 'node-finished', nodeId: '3', cached: false, elapsedMs: 40 },
  {
    ...stamp(3240),
    type: 'stage-finished',
    ...noMeasure,
    stageId: 's',
    peerId: 'p',
    provider: 'cuda',
    sessionMs: 2000,
    elapsedMs: 2240,
  },
  { ...stamp(3250), type: 'completed' },
]

function play(chosen: readonly JobEvent[]): { state: JobState; trace: JobTrace } {
  let state: JobState | undefined
  let trace: JobTrace = []
  for (const event of chosen) {
    state = foldJob(state, event)
    trace = traceJob(trace, event, state)
  }
  return { state: state!, trace }
}

t.test('speed and preparation from the reports of steps', async (t) => {
  const sampler = play(events).trace.find(({ nodeId }) => nodeId === '2')!
  t.equal(stepsPerSecond(sampler), 10)
  t.equal(
    preparationMs(sampler),
    1000,
    'the first step took its share of the time before its report',
  )
})

t.test('a job that is planned again is traced anew', async (t) => {
  const plan = events.find((event) => event.type === 'planned')!
  const { trace } = play([...events.slice(0, 8), { ...plan, ...stamp(3300) }])
  t.strictSame(
    trace.map(({ nodeId }) => nodeId),
    ['1'],
    'what was known already stays',
  )
})

t.test('who listens late misses no node', async (t) => {
  const whole = play(events).trace.filter(({ cached }) => !cached)
  for (let heard = 1; heard <= events.length; heard++) {
    let { state } = play(events.slice(0, heard))
    let trace = tracedSoFar(state)
    for (const event of events.slice(heard)) {
      state = foldJob(state, event)
      trace = traceJob(trace, event, state)
    }
    const times = (one: JobTrace) =>
      one
        .filter(({ cached }) => !cached)
        .map(({ steps, ...node }) => ({ ...node, steps: steps?.last.value }))
    t.strictSame(times(trace), times(whole), `after ${heard} events`)
  }
})

t.test('what ran where and how long', async (t) => {
  const lines = summaryLines({ ...play(events), files: [] }, plainTerminal)
  t.strictSame(lines, [
    '2 nodes ran at studio-pc on cuda in 2.2 s',
    '11 steps at 10.0 steps/s, the first after 1.0 s of preparation',
    '',
    `  Sample     ${'━'.repeat(31)}     2.2 s`,
    `  SaveImage  ${' '.repeat(31)}━    40 ms`,
    'Results known already: 1',
    'Total 2.3 s',
  ])
})

t.test('a cancelled job shows how far it came', async (t) => {
  const report = play([...events.slice(0, 7), { ...stamp(4000), type: 'interrupted', nodeId: '2' }])
  const text = summaryLines({ ...report, files: [] }, plainTerminal).join('\n')
  t.match(text, /Sample {2}━{32} +3.0 s/)
})

t.test('the same as JSON', async (t) => {
  const files = [{ path: '/out/a.png', nodeId: '3' }]
  t.match(reportJson({ ...play(events), files }), {
    status: 'completed',
    elapsedMs: 2250,
    pictures: [{ path: '/out/a.png', nodeId: '3' }],
    stages: [{ peer: 'studio-pc', provider: 'cuda', sessionMs: 2000 }],
    nodes: [{ id: '1', cached: true }, { id: '2', title: 'Sample', stepsPerSecond: 10 }, {}],
  })
})

/** Everything that the display writes for these events. */
function shown(terminal: typeof plainTerminal, chosen = events): string {
  let text = ''
  const display = createProgressDisplay(prompt, terminal, (part) => {
    text += part
  })
  let state: JobState | undefined
  let trace: JobTrace = []
  for (const event of chosen) {
    const isFirst = state === undefined
    state = foldJob(state, event)
    trace = isFirst ? tracedSoFar(state) : traceJob(trace, event, state)
    display.update({ state, trace }, isFirst ? undefined : event)
  }
  display.close()
  return text
}

t.test('plain lines where there is no terminal', async (t) => {
  const text = shown(plainTerminal)
  t.equal(text, 'Waiting for other jobs to finish ...\n✓ Sample  11 steps in 2.2 s\n')
})

t.test('the failure of a stage is told when the job goes on, its own end by others', async (t) => {
  const error = { code: 'peer_unreachable', message: 'The attic is gone.' } as const
  const failure = { ...stamp(200), type: 'stage-failed', stageId: '1', error } as JobEvent
  const started = events.slice(0, 7)
  const failed = [...started, failure, { ...stamp(300), type: 'failed', error } as JobEvent]
  t.notMatch(shown(plainTerminal, failed), /attic/)
  const planned = started.find(({ type }) => type === 'planned')!
  t.match(shown(plainTerminal, [...started, failure, planned]), /^The attic is gone\.$/m)
  const other = { code: 'internal', message: 'Another reason.' } as const
  const twice = [...started, failure, { ...stamp(300), type: 'failed', error: other } as JobEvent]
  t.match(shown(plainTerminal, twice), /^The attic is gone\.$/m)
})

t.test('a live line on a terminal, cleared at the end', async (t) => {
  const text = shown(interactiveTerminal)
  t.match(text, /Sample ━+─+ 1\/11/)
  t.match(text, /Sample ━{24} 11\/11 {2}10 steps\/s {2}0 ms left/)
  t.ok(text.endsWith('\r\x1b[2K'))
})

t.test('the live line never wraps', async (t) => {
  const node = play(events.slice(0, 7)).trace.find(({ nodeId }) => nodeId === '2')!
  for (const columns of [70, 80, 120]) {
    const line = liveLine(node, 'A title that goes on and on '.repeat(5), {
      ...interactiveTerminal,
      columns,
    })
    t.ok(line.length < columns, String(columns))
  }
})

t.test('what nodes ignored is told, in words and as JSON', async (t) => {
  const warned = events.map((event) =>
    event.type === 'node-finished' && event.nodeId === '2'
      ? { ...event, warnings: ['half of\nit is ignored'] }
      : event,
  )
  const report = { ...play(warned), files: [] }
  const line = 'Warning: "Sample" (KSampler, node 2): half of it is ignored'
  t.ok(summaryLines(report, plainTerminal).includes(line))
  t.strictSame(reportJson(report).warnings, [line])
  const cached = { nodeIds: ['2'], atMs: 1, warnings: { 2: ['half of\nit is ignored'] } }
  const known = { ...play(events), files: [] }
  t.strictSame(reportJson({ ...known, state: { ...known.state, cached } }).warnings, [line])
})
