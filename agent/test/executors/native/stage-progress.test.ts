import t from 'tap'
import type { Picture, StageEvent } from '../../../src/executors/executor.ts'
import { createProgressReporter } from '../../../src/executors/native/stage-progress.ts'

const picture: Picture = { bytes: Uint8Array.of(1), mediaType: 'image/jpeg', width: 1, height: 1 }

/** A reporter over a clock that moves only when told. */
function fixture(previews: boolean) {
  const events: StageEvent[] = []
  const clock = { ms: 0 }
  const report = createProgressReporter(
    { nodeId: '3', previews, report: (event) => events.push(event) },
    () => clock.ms,
  )
  const values = () => events.map((event) => event.type === 'node-progress' && event.value)
  return { report, clock, events, values }
}

t.test('the first and the last step always go out', async (t) => {
  const { report, values } = fixture(false)
  for (let step = 1; step <= 20; step++) await report(step, 20)
  t.same(values(), [1, 20])
})

t.test('steps in between wait for 100 ms and for half a percent', async (t) => {
  const { report, clock, values } = fixture(false)
  for (let step = 1; step <= 10; step++) {
    await report(step, 1000)
    clock.ms += 60
  }
  t.same(values(), [1, 6], 'every second step has the time, every fifth the fraction')
})

t.test('previews come at intervals, and make their step go out', async (t) => {
  const { report, clock, events, values } = fixture(true)
  for (let step = 1; step <= 8; step++) {
    await report(step, 1000, async () => picture)
    clock.ms += 110
  }
  const shown = events.map((event) => event.type === 'node-progress' && event.preview !== undefined)
  t.same(values(), [1, 4, 7])
  t.same(shown, [false, true, true])
})

t.test('a node that is about to end shows its result instead', async (t) => {
  const { report, clock, events } = fixture(true)
  for (let step = 1; step <= 8; step++) {
    clock.ms += 110
    await report(step, 8, async () => picture)
  }
  const shown = events.map((event) => event.type === 'node-progress' && event.preview !== undefined)
  t.same(shown, [false, false, true, false, false, false, false, false])
})

t.test('a costly preview comes less often', async (t) => {
  const { report, clock, values } = fixture(true)
  const costly = async (): Promise<Picture> => {
    clock.ms += 20
    return picture
  }
  for (let step = 1; step <= 30; step++) {
    await report(step, 100_000, costly)
    clock.ms += 100
  }
  t.same(values(), [1, 5, 25], 'every two seconds, for one percent of the time')
})

t.test('an unasked preview is not made', async (t) => {
  const { report, clock, events } = fixture(false)
  clock.ms += 1000
  await report(1, 2, async () => t.fail('made') as never)
  t.equal(events.length, 1)
})
