import { MeshError } from '@comfymesh/protocol/errors'
import type { ValueReference } from '@comfymesh/protocol/value'
import t from 'tap'
import type { FetchValues } from '../../src/execution/perform-stage.ts'
import { createStageClient } from '../../src/execution/stage-client.ts'
import { createStageWorker, type StageWorkerOptions } from '../../src/execution/stage-worker.ts'
import type { StageEvent } from '../../src/executors/executor.ts'
import { testStageRuns } from './stage-suite.ts'
import {
  following,
  manualExecutor,
  nodeFinished,
  nodeStarted,
  noFetch,
  stageOf,
  stageRequest,
  step,
  testBlobs,
  until,
} from './stages.ts'

const soon = () => new Promise((resolve) => setImmediate(resolve))

function manualWorker(options: Partial<StageWorkerOptions> & { isStubborn?: boolean } = {}) {
  const manual = manualExecutor(options)
  const blobs = testBlobs()
  let nowMs = 0
  const modules = { executor: manual.executor, blobs, fetch: noFetch, now: () => nowMs }
  const worker = createStageWorker({ peerId: 'here', ...options }, modules)
  const passMs = (ms: number) => {
    nowMs += ms
  }
  return { ...manual, worker, modules, blobs, passMs }
}

testStageRuns(t, async (t, executor, options) => {
  const blobs = testBlobs()
  const now = () => performance.now()
  const modules = { executor, blobs, fetch: noFetch, now }
  const worker = createStageWorker({ peerId: 'here', ...options }, modules)
  t.teardown(() => worker.stop())
  return { runs: worker, peerId: 'here' }
})

const value = (nodeId: string, hash: string): ValueReference => ({
  nodeId,
  slot: 0,
  type: 'LATENT',
  tensors: [],
  blob: { hash, sizeBytes: 10 },
  holders: ['there'],
})
const made = (nodeId: string, hash: string) => ({
  ...value(nodeId, hash),
  path: `/values/${hash}`,
  digests: Buffer.from(`digests of ${hash}`),
})

t.test('one stage at a time, the next when it ended', async (t) => {
  const { worker, runs, began, passMs } = manualWorker()
  const first = worker.run(stageRequest('a'), following())
  const second = worker.run(stageRequest('b'), following())
  await began(0)
  await soon()
  t.equal(runs.length, 1)
  t.equal(worker.busyMs(), 2000)
  passMs(300)
  t.equal(worker.busyMs(), 1700)
  runs[0]!.end({ sessionMs: 7, provider: 'cpu' })
  const times = { waitMs: 0, transferMs: 0, transferBytes: 0 }
  t.strictSame(await first, { ...times, computeMs: 300, sessionMs: 7, provider: 'cpu', values: [] })
  ;(await began(1)).end()
  t.match(await second, { waitMs: 300, transferMs: 0 })
  t.equal(worker.busyMs(), 0)
})

t.test('the same stage is run once and both are told', async (t) => {
  const { worker, runs, began } = manualWorker()
  const [early, late] = [following(), following()]
  const first = worker.run(stageRequest('a'), early)
  const { options, end } = await began(0)
  options.report(nodeStarted as StageEvent)
  options.report(step as StageEvent)
  const second = worker.run(stageRequest('a'), late)
  options.report(step as StageEvent)
  end()
  await Promise.all([first, second])
  t.equal(runs.length, 1)
  const past = [{ type: 'admitted' }, { type: 'began' }, nodeStarted]
  t.strictSame(early.reports, [...past, step, step])
  t.strictSame(late.reports, [...past, step], 'what is past, without its steps')
  const again = worker.run(stageRequest('a'), following())
  ;(await began(1)).end()
  await again
})

t.test('previews go to those who want them', async (t) => {
  const { worker, began } = manualWorker()
  const [one, other] = [following(), following()]
  const runs = [
    worker.run(stageRequest('a', { attemptId: '1', previews: false }), one),
    worker.run(stageRequest('a', { attemptId: '2' }), other),
  ]
  const { options, end } = await began(0)
  const picture = { bytes: new Uint8Array(1), mediaType: 'image/png', width: 1, height: 1 } as const
  const withPreview = { ...step, preview: picture } as StageEvent
  options.report(withPreview)
  end()
  await Promise.all(runs)
  t.strictSame(one.reports.at(-1), step)
  t.strictSame(other.reports.at(-1), withPreview)
})

t.test('a stage stops when its last attempt is cancelled', async (t) => {
  const { worker, began } = manualWorker()
  const [one, other] = [following(), following()]
  const first = worker.run(stageRequest('a', { attemptId: '1' }), one)
  const second = worker.run(stageRequest('a', { attemptId: '2' }), other)
  const { options } = await began(0)
  one.controller.abort()
  await t.rejects(first, { code: 'interrupted' })
  t.notOk(options.signal.aborted, 'somebody else still wants it')
  other.controller.abort()
  await t.rejects(second, { code: 'interrupted' })
  t.ok(options.signal.aborted)
  await t.rejects(worker.run(stageRequest('b'), one), { code: 'interrupted' }, 'before it began')
})

t.test('a waiting stage that is given up never runs', async (t) => {
  const { worker, began, runs } = manualWorker()
  const first = worker.run(stageRequest('a'), following())
  const waiting = following()
  const second = worker.run(stageRequest('b'), waiting)
  await began(0)
  waiting.controller.abort()
  await t.rejects(second, { code: 'interrupted' })
  t.equal(worker.busyMs(), 1000, 'it holds no place any more')
  runs[0]!.end()
  await first
  await soon()
  t.equal(runs.length, 1)
})

t.test('a full queue answers busy, and the client asks again', async (t) => {
  const { worker, began, passMs } = manualWorker({ queueLimit: 1 })
  const first = worker.run(stageRequest('a'), following())
  await began(0)
  passMs(200)
  const refused = worker.run(stageRequest('b'), following())
  await t.rejects(refused, { code: 'busy', details: { retryAfterMs: 800 } }, 'what is left of it')
  passMs(10_000)
  const later = worker.run(stageRequest('b'), following())
  await t.rejects(later, { code: 'busy', details: { retryAfterMs: 100 } }, 'estimates are wrong')

  const client = createStageClient({ worker: (peerId) => (peerId === 'p' ? worker : undefined) })
  const given = following()
  const up = client.run('p', stageRequest('c'), given)
  await soon()
  given.controller.abort()
  await t.rejects(up, { code: 'interrupted' })
  const second = client.run('p', stageRequest('b'), following())
  await soon()
  ;(await began(0)).end()
  await first
  ;(await began(1)).end()
  t.match(await second, { values: [] })
  await t.rejects(client.run('gone', stageRequest('b'), following()), { code: 'no_peer' })
})

t.test('a stage that is admitted anew while its given-up run still ends', async (t) => {
  const { worker, began, runs } = manualWorker({ isStubborn: true })
  const first = following()
  const given = worker.run(stageRequest('a', { attemptId: '1' }), first)
  await began(0)
  first.controller.abort()
  await t.rejects(given, { code: 'interrupted' }, 'at once')
  const again = worker.run(stageRequest('a', { attemptId: '2' }), following())
  await soon()
  t.equal(runs.length, 1, 'the device does one thing at a time')
  runs[0]!.end()
  await began(1)
  const joined = worker.run(stageRequest('a', { attemptId: '3' }), following())
  runs[1]!.end()
  t.match(await Promise.all([again, joined]), [{ values: [] }, { values: [] }])
  t.equal(runs.length, 2, 'the third joined the second')
})

t.test('who only follows may lose its word and come back, also after the end', async (t) => {
  const { worker, began, runs, blobs } = manualWorker()
  const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
  const request = stageRequest('a', { stage: stageOf('a', outputs) })
  const lost = following()
  const first = worker.follow(request, lost)
  const { options, end } = await began(0)
  options.report(nodeStarted as StageEvent)
  lost.controller.abort()
  await t.rejects(first, { code: 'interrupted' })
  t.notOk(options.signal.aborted)
  const back = following()
  const second = worker.follow(request, back)
  options.report(nodeFinished as StageEvent)
  end({ values: [made('1', 'h')] })
  const outcome = await second
  t.match(outcome.values, [{ nodeId: '1', holders: ['here'], blob: { hash: 'h' } }])
  t.equal(blobs.held.get('h'), 1)
  const late = following()
  t.strictSame(await worker.follow({ ...request, attemptId: 'another' }, late), outcome)
  t.strictSame(late.reports, back.reports)
  t.equal(late.reports.length, 4)
  t.equal(runs.length, 1)

  blobs.missing.add('h')
  const anew = worker.follow(request, following())
  ;(await began(1)).end({ values: [made('1', 'h')] })
  await anew
  worker.stop()
  t.equal(blobs.held.get('h'), 0)
})

t.test('what was made is forgotten when everything is to be', async (t) => {
  const { worker, began, blobs } = manualWorker()
  const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
  const request = stageRequest('a', { stage: stageOf('a', outputs) })
  const first = worker.follow(request, following())
  ;(await began(0)).end({ values: [made('1', 'h')] })
  await first
  worker.forget()
  const anew = worker.follow({ ...request, attemptId: '2' }, following())
  ;(await began(1)).end({ values: [made('1', 'h')] })
  await anew
  t.ok(blobs.held.get('h')! > 0, 'others may be about to fetch the values')
  worker.stop()
})

t.test('a failure is kept for the attempt that met it and for no other', async (t) => {
  const { worker, began, runs } = manualWorker()
  const lost = following()
  const first = worker.follow(stageRequest('a', { attemptId: '1' }), lost)
  const { fail } = await began(0)
  lost.controller.abort()
  await t.rejects(first)
  fail(new MeshError('out_of_memory', 'too large'))
  await until(() => worker.busyMs() === 0)
  const back = worker.follow(stageRequest('a', { attemptId: '1' }), following())
  await t.rejects(back, { code: 'out_of_memory' })
  t.equal(runs.length, 1)
  const another = worker.follow(stageRequest('a', { attemptId: '2' }), following())
  ;(await began(1)).end()
  t.match(await another, { values: [] })
})

t.test('a stage that nobody follows ends after a while', async (t) => {
  const { worker, began } = manualWorker({ abandonedAfterMs: 5 })
  const lost = following()
  const first = worker.follow(stageRequest('a'), lost)
  const { options } = await began(0)
  lost.controller.abort()
  await t.rejects(first)
  await until(() => options.signal.aborted)
})

t.test('what was made is held and known for a while', async (t) => {
  const { worker, began, blobs, runs } = manualWorker({ keepMs: 5 })
  const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
  const request = stageRequest('a', { stage: stageOf('a', outputs) })
  const first = worker.follow(request, following())
  ;(await began(0)).end({ values: [made('1', 'h')] })
  await first
  await until(() => blobs.held.get('h') === 0)
  const again = worker.follow(request, following())
  ;(await began(1)).end({ values: [] })
  await t.rejects(again, { code: 'internal', message: /0 values where 1/ })
  t.equal(runs.length, 2)
})

t.test('the digests of what was made are kept beside it', async (t) => {
  const { modules, began, blobs } = manualWorker()
  const kept: string[] = []
  const adopt: typeof blobs.adopt = async (path, blob, digests) => {
    kept.push(digests.toString())
    await blobs.adopt(path, blob, digests)
  }
  const worker = createStageWorker({ peerId: 'here' }, { ...modules, blobs: { ...blobs, adopt } })
  const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
  const run = worker.run(stageRequest('a', { stage: stageOf('a', outputs) }), following())
  ;(await began(0)).end({ values: [made('1', 'h')] })
  await run
  t.strictSame(kept, ['digests of h'])
  worker.stop()
})

t.test('what was made is held from before it is adopted', async (t) => {
  const { modules, began, blobs } = manualWorker()
  const heldThen: (number | undefined)[] = []
  const adopt: typeof blobs.adopt = async (path, blob, digests) => {
    heldThen.push(blobs.held.get('h'), blobs.held.get('i'))
    await blobs.adopt(path, blob, digests)
  }
  const worker = createStageWorker({ peerId: 'here' }, { ...modules, blobs: { ...blobs, adopt } })
  const outputs = ['1', '2'].map((nodeId) => ({ nodeId, slot: 0, type: 'LATENT' }))
  const run = worker.run(stageRequest('a', { stage: stageOf('a', outputs) }), following())
  ;(await began(0)).end({ values: [made('1', 'h'), made('2', 'i')] })
  await run
  t.strictSame(heldThen, [1, 1, 1, 1])
  t.strictSame([...blobs.held.values()], [1, 1], 'kept for others')
  worker.stop()
  t.strictSame([...blobs.held.values()], [0, 0])
})

t.test('a cancel that overtakes its stage', async (t) => {
  const { worker, runs } = manualWorker()
  worker.cancel({ stageId: stageOf('a').id, attemptId: '1' })
  const late = worker.follow(stageRequest('a', { attemptId: '1' }), following())
  await t.rejects(late, { code: 'interrupted' })
  t.equal(runs.length, 0)
})

t.test('inputs are fetched while others compute, and held', async (t) => {
  const { modules, blobs, began, runs, passMs } = manualWorker()
  let arrive = (_fetched: { transferBytes: number }) => {}
  const fetched = new Promise<{ transferBytes: number }>((resolve) => {
    arrive = resolve
  })
  const fetch: FetchValues = async (values) => (values.length > 0 ? fetched : { transferBytes: 0 })
  const worker = createStageWorker({ peerId: 'here' }, { ...modules, fetch })
  const first = worker.run(stageRequest('a'), following())
  await began(0)
  const inputs = [value('8', 'h8'), value('9', 'h9')]
  const follower = following()
  const second = worker.run(stageRequest('b', { inputs }), follower)
  const third = worker.run(stageRequest('c'), following())
  t.equal(blobs.held.get('h8'), 1)
  runs[0]!.end()
  await first
  t.equal((await began(1)).stage.id, stageOf('c').id, 'whoever is ready goes first')
  passMs(100)
  runs[1]!.end()
  await third
  passMs(50)
  arrive({ transferBytes: 10 })
  const { stage, end } = await began(2)
  t.strictSame(stage.inputs, [
    { nodeId: '8', slot: 0, type: 'LATENT', path: '/blobs/h8' },
    { nodeId: '9', slot: 0, type: 'LATENT', path: '/blobs/h9' },
  ])
  t.strictSame(follower.reports, [{ type: 'admitted' }, { type: 'began' }])
  end()
  t.match(await second, { waitMs: 100, transferMs: 50, transferBytes: 10 })
  t.equal(blobs.held.get('h8'), 0)
})

t.test('an input that cannot be had ends the stage before its turn', async (t) => {
  const { modules, began, blobs } = manualWorker()
  const fetch: FetchValues = async (values) => {
    if (values.length > 0) throw new MeshError('corrupt_value', 'all holders lie')
    return { transferBytes: 0 }
  }
  const worker = createStageWorker({ peerId: 'here' }, { ...modules, fetch })
  const first = worker.run(stageRequest('a'), following())
  const { end } = await began(0)
  const second = worker.run(stageRequest('b', { inputs: [value('8', 'h8')] }), following())
  await t.rejects(second, { code: 'corrupt_value' })
  t.equal(blobs.held.get('h8'), 0)
  end()
  await first
})
