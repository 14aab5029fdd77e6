import t from 'tap'
import type { Picture, StageEvent } from '../../../src/executors/executor.ts'
import { createProgressReporter } from '../../../src/executors/native/stage-progress.ts'

const picture: Picture = { bytes: Uint8Array.of(1), mediaType: 'image/jpeg', width: 1, height: 1 }

/** What resolves at once has been told of. */
const ticks = () => new Promise((resolve) => setImmediate(resolve))

/** A reporter over a clock that moves only when told. */
function fixture(previews: boolean) {
  const events: StageEvent[] = []
  const clock = { ms: 0 }
  const reporter = createProgressReporter(
    { nodeId: '3', previews, report: (event) => events.push(event) },
    () => clock.ms,
  )
  const values = () => events.map((event) => event.type === 'node-progress' && event.value)
  const shown = () =>
    events.flatMap((event) => (event.type === 'node-progress' && event.preview ? event.value : []))
  return { ...reporter, clock, events, values, shown }
}

t.test('the first and the last step always go out', async (t) => {
  const { step, values } = fixture(false)
  for (let value = 1; value <= 20; value++) step(value, 20)
  t.same(values(), [1, 20])
})

t.test('steps in between wait for 100 ms and for half a percent', async (t) => {
  const { step, clock, values } = fixture(false)
  for (let value = 1; value <= 10; value++) {
    const isReported = step(value, 1000)
    t.equal(isReported, values().at(-1) === value)
    clock.ms += 60
  }
  t.same(values(), [1, 6], 'every second step has the time, every fifth the fraction')
})

t.test('previews come at intervals, with steps that need not have gone out', async (t) => {
  const { step, clock, values, shown } = fixture(true)
  for (let value = 1; value <= 8; value++) {
    step(value, 1000, async () => picture)
    await ticks()
    clock.ms += 110
  }
  t.same(values(), [1, 4, 6, 7])
  t.same(shown(), [4, 7])
})

t.test('no step waits for a preview, which comes with the last one by then', async (t) => {
  const { step, clock, shown } = fixture(true)
  let finish = (_: Picture): void => {}
  const made: number[] = []
  for (let value = 1; value <= 20; value++) {
    clock.ms += 110
    step(value, 100, () => {
      made.push(value)
      return new Promise((resolve) => {
        finish = resolve
      })
    })
  }
  t.same(made, [3], 'one at a time')
  finish(picture)
  await ticks()
  t.same(shown(), [20])
})

t.test('a node that is about to end shows its result instead', async (t) => {
  const { step, clock, shown } = fixture(true)
  for (let value = 1; value <= 8; value++) {
    clock.ms += 110
    step(value, 8, async () => picture)
    await ticks()
  }
  t.same(shown(), [3])
})

t.test('a preview that is made when the node has ended is not shown', async (t) => {
  const { step, end, clock, shown } = fixture(true)
  clock.ms += 1000
  step(1, 100, async () => picture)
  end()
  await ticks()
  t.same(shown(), [])
})

t.test('a preview that cannot be made costs no more than itself', async (t) => {
  const { step, clock, shown } = fixture(true)
  const { error } = console
  t.teardown(() => {
    console.error = error
  })
  const told: unknown[] = []
  console.error = (message) => told.push(message)
  for (const make of [() => Promise.reject(new Error('no codec')), async () => picture]) {
    clock.ms += 1000
    step(clock.ms / 1000, 100, make)
    await ticks()
  }
  t.same(told, ['node 3: a preview could not be made'])
  t.same(shown(), [2])
})

t.test('an unasked preview is not made', async (t) => {
  const { step, clock, events } = fixture(false)
  clock.ms += 1000
  step(1, 2, async () => t.fail('made') as never)
  t.equal(events.length, 1)
})
