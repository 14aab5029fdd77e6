import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { createNativeExecutor } from '../../../src/executors/native/native-executor.ts'
import { runAndRecord, stageOf, testExecutor } from '../executor-suite.ts'
import { testExecutorOf, testFolders } from './native-fixture.ts'

const value = { classType: 'PrimitiveInt', inputs: { value: 7 } }
const block = { classType: 'TestBlock', inputs: {} }
const die = { classType: 'TestDie', inputs: {} }
const slow = (steps: number, stepMs: number) => ({
  classType: 'TestSlow',
  inputs: { steps, step_ms: stepMs },
})

t.test('as every executor', (t) =>
  testExecutor(t, {
    executor: async () => testExecutorOf(t),
    value,
    follower: { classType: 'PrimitiveInt', inputs: { value: ['1', 0] } },
    slow: slow(8, 120),
    failing: { classType: 'TestFail', inputs: {} },
    values: {
      makers: [
        {
          classType: 'EmptyImage',
          inputs: { width: 8, height: 8, batch_size: 1, color: 0xff0000 },
        },
        {
          classType: 'EmptyImage',
          inputs: { width: 8, height: 8, batch_size: 1, color: 0x0000ff },
        },
        { classType: 'ImageBatch', inputs: { image1: ['1', 0], image2: ['2', 0] } },
      ],
      output: { nodeId: '3', slot: 0, type: 'IMAGE' },
      entries: 2,
      shower: (link) => ({ classType: 'PreviewImage', inputs: { images: link } }),
    },
  }),
)

t.test('what a node warns of reaches whoever made the executor', async (t) => {
  const warnings: string[] = []
  const executor = testExecutorOf(t, { warn: (message) => warnings.push(message) })
  t.teardown(() => executor.stop())
  await runAndRecord(executor, stageOf([{ classType: 'TestWarn', inputs: {} }]))
  t.strictSame(warnings, ['TestWarn (node 1): half of it is ignored'])
})

t.test('a runner that dies fails its stage and is replaced', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  const { error } = await runAndRecord(executor, stageOf([value, die]))
  t.match(error, {
    code: 'runner_died',
    retryable: true,
    details: {
      nodeId: '2',
      classType: 'TestDie',
      signal: 'SIGKILL',
      lastLines: ['the last words'],
    },
  })
  t.match(error?.message, /node 2 \(TestDie\).*SIGKILL.*the last words/)
  const next = await runAndRecord(executor, stageOf([value]))
  t.match(next.result, { sessionMs: 0 })
})

t.test('a runner that is killed from outside, working or idle, is replaced', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  const { error } = await runAndRecord(executor, stageOf([slow(50, 100)]), undefined, () =>
    process.kill(executor.runnerPid!, 'SIGKILL'),
  )
  t.equal(error?.code, 'runner_died')
  await runAndRecord(executor, stageOf([value]))
  const first = executor.runnerPid
  process.kill(first!, 'SIGKILL')
  while (executor.runnerPid === first) await new Promise((resolve) => setTimeout(resolve, 10))
  const next = await runAndRecord(executor, stageOf([value]))
  t.match(next.result, { sessionMs: 0 })
})

t.test('memory that nobody has fails the node that wants it, and nothing else', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  const inputs = { width: 16384, height: 16384, batch_size: 4096, color: 0 }
  const { error } = await runAndRecord(executor, stageOf([{ classType: 'EmptyImage', inputs }]))
  t.match(error, { code: 'out_of_memory', retryable: true, details: { nodeId: '1' } })
  t.match((await runAndRecord(executor, stageOf([value]))).result, { sessionMs: 0 })
})

t.test('a stage that never yields is killed', async (t) => {
  const executor = testExecutorOf(t, { cancelGraceMs: 200 })
  t.teardown(() => executor.stop())
  const controller = new AbortController()
  const { error } = await runAndRecord(executor, stageOf([block]), controller.signal, () =>
    controller.abort(),
  )
  t.equal(error?.code, 'interrupted')
  const next = await runAndRecord(executor, stageOf([value]))
  t.match(next.result, { sessionMs: 0 })
})

t.test('stop() ends a stage that never yields', async (t) => {
  const executor = testExecutorOf(t)
  let stopped: Promise<void> | undefined
  const { error } = await runAndRecord(executor, stageOf([block]), undefined, () => {
    stopped ??= executor.stop()
  })
  t.equal(error?.code, 'interrupted')
  await stopped
  t.equal(executor.runnerPid, undefined)
  const late = await runAndRecord(executor, stageOf([value]))
  t.equal(late.error?.code, 'interrupted', 'nothing starts again')
})

t.test('the output cache outlives a stage and crosses node ids', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  const preview = { classType: 'TestPreview', inputs: { steps: 1, step_ms: 0 } }
  await runAndRecord(
    executor,
    stageOf([preview], () => 'same'),
  )
  const { events } = await runAndRecord(
    executor,
    stageOf([value, preview], (i) => ['new', 'same'][i]!),
  )
  const recalled = events.filter(({ nodeId }) => nodeId === '2')
  t.match(recalled, [
    {
      type: 'node-finished',
      cached: true,
      elapsedMs: 0,
      pictures: [{ width: 1 }],
      ui: { text: ['shown'] },
    },
  ])
  t.ok(events.some((event) => event.type === 'node-finished' && !event.cached))
})

t.test('previews come only when asked for, and not too often', async (t) => {
  for (const previews of [true, false]) {
    const executor = testExecutorOf(t, { previews })
    const stage = stageOf([{ classType: 'TestPreview', inputs: { steps: 20, step_ms: 110 } }])
    const { events } = await runAndRecord(executor, stage)
    const shown = events.filter((event) => event.type === 'node-progress' && event.preview)
    const steps = shown.map((event) => event.type === 'node-progress' && event.value)
    t.strictSame(steps, previews ? [3, 6, 9, 12, 15] : [])
    await executor.stop()
  }
})

t.test('the speed is measured when nothing runs, and a stage goes first', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  const never = new AbortController().signal
  const order: string[] = []
  const busy = runAndRecord(executor, stageOf([slow(2, 20)]))
  const measured = executor.benchmark!(never).then((benchmark) => {
    order.push('measured')
    return benchmark
  })
  const late = runAndRecord(executor, stageOf([value])).then(() => order.push('stage'))
  await Promise.all([busy, late])
  t.match(await measured, { provider: 'cpu', gflops: Number })
  t.same(order, ['stage', 'measured'])

  const again = executor.benchmark!(never)
  t.match(await runAndRecord(executor, stageOf([value])), { result: { sessionMs: 0 } })
  t.match(await again, { provider: 'cpu' }, 'one that was given up is taken up again')
  await t.rejects(executor.benchmark!(AbortSignal.abort()), { code: 'interrupted' })
})

t.test('a benchmark ends with the agent, or with its runner', async (t) => {
  const executor = testExecutorOf(t)
  const never = new AbortController().signal
  await runAndRecord(executor, stageOf([value]))
  const dying = executor.benchmark!(never)
  process.kill(executor.runnerPid!, 'SIGKILL')
  await t.rejects(dying, { code: 'runner_died' })
  const stopped = executor.benchmark!(never)
  await Promise.all([executor.stop(), t.rejects(stopped, { code: 'interrupted' })])
})

t.test('an idle runner ends', async (t) => {
  const executor = testExecutorOf(t, { idleShutdownMs: 50 })
  t.teardown(() => executor.stop())
  await runAndRecord(executor, stageOf([value]))
  while (executor.runnerPid !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
  const next = await runAndRecord(executor, stageOf([value]))
  t.match(next.result, { sessionMs: 0 })
})

t.test('memory is given back', async (t) => {
  const executor = testExecutorOf(t)
  t.teardown(() => executor.stop())
  await executor.free({ outputs: true })
  t.equal(executor.runnerPid, undefined, 'nothing to give')
  const cached = async () => {
    const stage = stageOf([value], () => 'same')
    const { events } = await runAndRecord(executor, stage)
    return events.some((event) => event.type === 'node-finished' && event.cached)
  }
  t.notOk(await cached())
  const pid = executor.runnerPid
  await executor.free({ outputs: false })
  t.equal(executor.runnerPid, pid)
  t.ok(await cached(), 'what nodes computed stays known')
  await executor.free({ outputs: true })
  t.equal(executor.runnerPid, undefined)
  t.notOk(await cached())
})

t.test('a provider that no one knows is refused', async (t) => {
  const create = () => createNativeExecutor({ folders: testFolders(t), provider: 'abacus' })
  t.throws(create, { code: 'invalid_settings', message: /abacus.*cuda.*cpu/ })
})

t.test('the providers of this machine are tested, the CPU among them', async (t) => {
  const executor = createNativeExecutor({ folders: testFolders(t), threads: 1, provider: 'cpu' })
  t.teardown(() => executor.stop())
  t.match(await executor.testProviders(), [{ name: 'cpu', ok: true, fusedAttention: true }])
})

t.test('definitions load neither onnxruntime nor sharp', async (t) => {
  const script = `
    const { createNativeExecutor } = await import('./src/executors/native/native-executor.ts')
    const executor = createNativeExecutor({ folders: ${JSON.stringify(testFolders(t))} })
    await executor.definitions()
    const loaded = process.report.getReport().sharedObjects.filter((path) => /onnxruntime|sharp|vips/.test(path))
    console.log(JSON.stringify(loaded))
  `
  const args = [...process.execArgv, '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.same(JSON.parse(stdout), [])
})
