import t from 'tap'
import { estimateNodeMs } from '../../src/planning/learned-times.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openLearnedTimes } from '../../src/store/learned-times.ts'

t.test('what was learned is known after a restart', async (t) => {
  const dataDir = t.testdir()
  const kind = { peerId: 'p', classType: 'A', model: 'm/ü.safetensors', work: 3 }
  const first = await openDatabase(dataDir)
  const learned = await openLearnedTimes(first)
  await learned.learn(
    [
      { ...kind, elapsedMs: 10 },
      { ...kind, elapsedMs: 30 },
      { ...kind, elapsedMs: 20 },
    ],
    1,
  )
  await learned.learn([{ ...kind, classType: 'B', elapsedMs: 5 }], 2)
  await learned.learn([], 3)
  await first.close()
  const second = await openDatabase(dataDir)
  t.teardown(() => second.close())
  const times = (await openLearnedTimes(second)).current()
  t.equal(estimateNodeMs(times, kind), 20)
  t.equal(estimateNodeMs(times, { ...kind, classType: 'B' }), 5)
})
