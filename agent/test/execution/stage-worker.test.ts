import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import { createStageClient } from '../../src/execution/stage-client.ts'
import { createStageWorker } from '../../src/execution/stage-worker.ts'
import type { Executor, RunOptions, Stage, StageEvent } from '../../src/executors/executor.ts'

const stage = (id: string): Stage => ({ id, jobId: 'j', nodes: [], inputs: [], outputs: [] })

/** An executor whose stages end when told to. */
function manualExecutor() {
  const runs: { id: string; options: RunOptions; end: () => void }[] = []
  const run: Executor['run'] = (stage, options) =>
    new Promise((resolve, reject) => {
      options.signal.addEventListener('abort', () => reject(new MeshError('interrupted', 'x')))
      runs.push({ id: stage.id, options, end: () => resolve({ sessionMs: 0, values: [] }) })
    })
  return { executor: { run } as Executor, runs }
}

const soon = () => new Promise((resolve) => setImmediate(resolve))
const following = () => {
  const controller = new AbortController()
  const events: StageEvent[] = []
  return {
    events,
    controller,
    signal: controller.signal,
    report: (event: StageEvent) => events.push(event),
  }
}
const started: StageEvent = { type: 'node-started', nodeId: '1' }
const step: StageEvent = { type: 'node-progress', nodeId: '1', value: 1, max: 2 }

t.test('one stage at a time, the next when it ended', async (t) => {
  const { executor, runs } = manualExecutor()
  const worker = createStageWorker({}, { executor })
  const first = worker.run(stage('a'), following())
  const second = worker.run(stage('b'), following())
  await soon()
  t.strictSame(
    runs.map(({ id }) => id),
    ['a'],
  )
  runs[0]!.end()
  await first
  await soon()
  t.strictSame(
    runs.map(({ id }) => id),
    ['a', 'b'],
  )
  runs[1]!.end()
  t.strictSame(await second, { sessionMs: 0, values: [] })
})

t.test('the same stage is run once and both are told', async (t) => {
  const { executor, runs } = manualExecutor()
  const worker = createStageWorker({}, { executor })
  const [early, late] = [following(), following()]
  const first = worker.run(stage('a'), early)
  await soon()
  runs[0]!.options.report(started)
  runs[0]!.options.report(step)
  const second = worker.run(stage('a'), late)
  runs[0]!.options.report(step)
  runs[0]!.end()
  await Promise.all([first, second])
  t.equal(runs.length, 1)
  t.strictSame(early.events, [started, step, step])
  t.strictSame(late.events, [started, step], 'what is past, without its steps')
  const again = worker.run(stage('a'), following())
  await soon()
  t.equal(runs.length, 2, 'what ended is run anew')
  runs[1]!.end()
  await again
})

t.test('a stage stops when the last who follows it gives up', async (t) => {
  const { executor, runs } = manualExecutor()
  const worker = createStageWorker({}, { executor })
  const [one, other] = [following(), following()]
  const first = worker.run(stage('a'), one)
  const second = worker.run(stage('a'), other)
  await soon()
  one.controller.abort()
  await t.rejects(first, { code: 'interrupted' })
  t.notOk(runs[0]!.options.signal.aborted, 'somebody else still wants it')
  other.controller.abort()
  await t.rejects(second, { code: 'interrupted' })
  t.ok(runs[0]!.options.signal.aborted)
  await t.rejects(worker.run(stage('b'), one), { code: 'interrupted' }, 'given up before it began')
})

t.test('a waiting stage that is given up never runs', async (t) => {
  const { executor, runs } = manualExecutor()
  const worker = createStageWorker({}, { executor })
  const first = worker.run(stage('a'), following())
  const waiting = following()
  const second = worker.run(stage('b'), waiting)
  await soon()
  waiting.controller.abort()
  runs[0]!.end()
  await first
  await t.rejects(second, { code: 'interrupted' })
  t.equal(runs.length, 1)
})

t.test('a full queue answers busy, and the client asks again', async (t) => {
  const { executor, runs } = manualExecutor()
  const worker = createStageWorker({ queueLimit: 1 }, { executor })
  const first = worker.run(stage('a'), following())
  await t.rejects(worker.run(stage('b'), following()), {
    code: 'busy',
    details: { retryAfterMs: 250 },
  })

  const client = createStageClient({ worker: (peerId) => (peerId === 'p' ? worker : undefined) })
  const given = following()
  const up = client.run('p', stage('c'), given)
  given.controller.abort()
  await t.rejects(up, { code: 'interrupted' })
  const second = client.run('p', stage('b'), following())
  await soon()
  runs[0]!.end()
  await first
  while (runs.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  runs[1]!.end()
  t.strictSame(await second, { sessionMs: 0, values: [] })
  await t.rejects(client.run('gone', stage('b'), following()), { code: 'no_peer' })
})

t.test('a stage that is admitted anew while its given-up run still ends', async (t) => {
  const runs: { end: () => void }[] = []
  const run: Executor['run'] = () =>
    new Promise((resolve) => runs.push({ end: () => resolve({ sessionMs: 0, values: [] }) }))
  const worker = createStageWorker({}, { executor: { run } as Executor })
  const [first, second, third] = [following(), following(), following()]
  const given = worker.run(stage('a'), first)
  await soon()
  first.controller.abort()
  const again = worker.run(stage('a'), second)
  runs[0]!.end()
  await given
  await soon()
  const joined = worker.run(stage('a'), third)
  runs[1]!.end()
  t.strictSame(await Promise.all([again, joined]), [
    { sessionMs: 0, values: [] },
    { sessionMs: 0, values: [] },
  ])
  t.equal(runs.length, 2, 'the third joined the second')
})
