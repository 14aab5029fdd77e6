import t from 'tap'
import { openBenchmarks } from '../../src/store/benchmarks.ts'
import { openDatabase } from '../../src/store/database.ts'

t.test('a benchmark counts under its conditions, also after a restart', async (t) => {
  const folder = t.testdir()
  const database = await openDatabase(folder)
  const benchmarks = openBenchmarks(database)
  t.equal(await benchmarks.get('this machine'), undefined)
  await benchmarks.put('this machine', { gflops: 80.5, provider: 'cpu' })
  await database.close()

  const again = await openDatabase(folder)
  t.teardown(() => again.close())
  const kept = openBenchmarks(again)
  t.same(await kept.get('this machine'), { gflops: 80.5, provider: 'cpu' })
  t.equal(await kept.get('another card'), undefined)
  await kept.put('another card', { gflops: 9000, provider: 'cuda' })
  t.equal(await kept.get('this machine'), undefined, 'one takes the place of the other')
  await again.put('benchmark', '{"gflops":-1}')
  t.equal(await kept.get('another card'), undefined, 'what is no benchmark is measured anew')
})
