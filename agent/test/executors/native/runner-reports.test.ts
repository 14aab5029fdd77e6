/** The pipe of a runner's reports, here a file. */
import { closeSync, createReadStream, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Message, Reports } from '../../../src/executors/native/runner-messages.ts'
import { createReportSender, readReports } from '../../../src/executors/native/runner-reports.ts'

type Report = Message<Reports>

const step = (value: number): Report => ({
  type: 'events',
  run: 1,
  events: [{ type: 'node-progress', nodeId: '3', value, max: 20 }],
})

async function read(path: string, options: { highWaterMark?: number; end?: number } = {}) {
  const reports: Report[] = []
  await readReports(createReadStream(path, options), (report) => reports.push(report))
  return reports
}

/** Resolves when all of it is written: steps are, by another thread. */
async function sent(path: string, reports: readonly Report[]): Promise<void> {
  const descriptor = openSync(path, 'w')
  const send = createReportSender(descriptor)
  for (const report of reports) send(report)
  while ((await read(path)).length < reports.length) await sleep(10)
  closeSync(descriptor)
}

t.test('arrives in order, however it is cut', async (t) => {
  const picture = new Uint8Array(3000).fill(7)
  const error = { code: 'node_failed', message: 'no', details: { seed: 2n ** 63n } } as const
  const reports = [
    { type: 'ready' },
    ...[1, 2, 3].map(step),
    { type: 'warning', message: 'ä'.repeat(500) },
    step(4),
    { type: 'failed', run: 1, error },
  ] as unknown as Report[]
  const path = join(t.testdir({}), 'reports')
  await sent(path, [...reports, { ...step(5), picture } as unknown as Report])
  for (const highWaterMark of [1, 7, 1000, 65536]) {
    const all = await read(path, { highWaterMark })
    t.same(all.slice(0, -1), reports, `${highWaterMark} bytes at a time`)
    t.same(new Uint8Array((all.at(-1) as unknown as { picture: Uint8Array }).picture), picture)
  }
})

t.test('a report that is cut off is none', async (t) => {
  const path = join(t.testdir({}), 'reports')
  await sent(path, [{ type: 'ready' }, { type: 'warning', message: 'half' }])
  t.same(await read(path, { end: statSync(path).size - 2 }), [{ type: 'ready' }])
})

t.test('nobody reads it any more', async (t) => {
  // What cannot be written to fails as a broken pipe does.
  const descriptor = openSync(import.meta.filename, 'r')
  t.teardown(() => closeSync(descriptor))
  const send = createReportSender(descriptor)
  for (const report of [step(1), { type: 'ready' } as Report, step(2)])
    t.doesNotThrow(() => send(report))
})
