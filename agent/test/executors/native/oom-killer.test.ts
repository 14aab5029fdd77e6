import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { oomKills, watchOomKills } from '../../../src/executors/native/oom-killer.ts'

const counters = (kills: number) => `nr_free_pages 1\noom_kill ${kills}\nnuma_hit 5\n`

t.test('kills for lack of memory are told from others', async (t) => {
  const file = join(t.testdir(), 'vmstat')
  writeFileSync(file, counters(3))
  t.equal(oomKills(file), 3)
  const killed = watchOomKills(file)
  t.equal(killed(), false)
  writeFileSync(file, counters(4))
  t.equal(killed(), true)
})

t.test('where the system does not tell, nothing is claimed', async (t) => {
  const file = join(t.testdir(), 'vmstat')
  t.equal(watchOomKills(file)(), undefined)
  writeFileSync(file, 'nr_free_pages 1\n')
  t.equal(watchOomKills(file)(), undefined)
})
