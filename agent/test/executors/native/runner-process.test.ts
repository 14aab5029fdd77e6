import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import type { Stage } from '../../../src/executors/executor.ts'
import {
  createRunnerProcess,
  type RunnerProcess,
} from '../../../src/executors/native/runner-process.ts'
import { testFolders } from './native-fixture.ts'

const stage: Stage = { id: 'stage', jobId: 'job', nodes: [], inputs: [], outputs: [] }
const never = new AbortController().signal
const report = (): void => {}

/** @param program the runner: a module, or its source. */
function processOf(t: Test, program: URL | string, idleShutdownMs = 60_000): RunnerProcess {
  const folders = testFolders(t)
  const written = join(folders.temp, 'runner.mjs')
  if (typeof program === 'string') writeFileSync(written, program)
  const process = createRunnerProcess({
    entry: typeof program === 'string' ? pathToFileURL(written) : program,
    configuration: { folders, sessions: {}, outputCacheBytes: 0, valuesFolder: folders.temp },
    previews: false,
    cancelGraceMs: 1000,
    idleShutdownMs,
    log: () => {},
    warn: () => {},
  })
  t.teardown(() => process.stop())
  return process
}

t.test('a provider that crashes the process costs itself and nothing else', async (t) => {
  const runner = processOf(t, new URL('./crashing-runner.ts', import.meta.url))
  t.match(await runner.run(stage, { signal: never, report }), { provider: 'cpu' })
  t.match(await runner.testProviders(), [
    { name: 'cuda', ok: false, reason: /crashed \(killed by SIGKILL.*driver assertion failed/ },
    { name: 'cpu', ok: true },
  ])
})

/** A runner that takes any stage. */
const obliging = `
  import { createReportSender } from '${new URL('../../../src/executors/native/runner-reports.ts', import.meta.url)}'
  const send = createReportSender()
  process.on('message', ({ type, run }) => {
    const done = { type: 'finished', run, result: { sessionMs: 0, values: [] } }
    send(type === 'configure' ? { type: 'ready' } : done)
  })
  process.on('disconnect', () => process.exit(0))`

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(10)
}

t.test('a prepared runner takes the stage that comes', async (t) => {
  const runner = processOf(t, obliging)
  runner.prepare()
  runner.prepare()
  await until(() => runner.pid !== undefined)
  const { pid } = runner
  await runner.run(stage, { signal: never, report })
  runner.prepare()
  t.equal(runner.pid, pid)
})

t.test('a runner that was prepared for nothing ends', async (t) => {
  const runner = processOf(t, obliging, 50)
  runner.prepare()
  await until(() => runner.pid !== undefined)
  await until(() => runner.pid === undefined)
})

t.test('a runner that cannot start says why', async (t) => {
  const runner = processOf(t, `throw new Error('libexample.so: cannot open')`)
  await t.rejects(runner.run(stage, { signal: never, report }), {
    code: 'runner_died',
    message: /could not start: exit code 1, last words "Error: libexample.so: cannot open".*doctor/,
  })
})

t.test('a runner that takes long to start does not hold up cancellation', async (t) => {
  const runner = processOf(t, `process.on('disconnect', () => process.exit(0))`)
  const controller = new AbortController()
  const run = runner.run(stage, { signal: controller.signal, report })
  setTimeout(() => controller.abort(), 50)
  await t.rejects(run, { code: 'interrupted' })
  await runner.stop()
})
