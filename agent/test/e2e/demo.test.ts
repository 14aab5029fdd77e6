/** The first thing that anybody sees: three agents, one picture three times, nothing left behind. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runBuilt } from '../built-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

t.test('comfymesh demo', async (t) => {
  const folder = t.testdir({ temporary: {} })
  const out = join(folder, 'pictures')
  // Of its own: other demos may run on this machine.
  const temporary = join(folder, 'temporary')
  const environment = { TMPDIR: temporary, TEMP: temporary, TMP: temporary }
  const argv = ['demo', '--seed', '3', '--out', out]
  const { code, stdout, stderr } = await runBuilt(argv, environment)
  t.equal(code, 0, stderr)
  const [, , together, shared, rescued] = stdout.split(/^\d {2}/m)
  // Which peers a busy machine takes for the fastest is open, and what they have from each other then.
  t.match(together, /✓ \d stages? on (studio|desk|tower)\b.* between machines/)
  t.match(shared, /✓ 3 stages on desk and tower, .* between machines/)
  t.match(rescued, /✗ tower was killed at step \d+ of 30\n +studio sampled instead/)
  t.match(stdout, /All three have the same pixels/)
  t.equal(readdirSync(out).length, 3)
  const left = readdirSync(temporary).filter((name) => name.startsWith('comfymesh-demo-'))
  t.same(left, [])
})

t.test('a seed that is none', async (t) => {
  const { code, stderr } = await runBuilt(['demo', '--seed', 'many'])
  t.equal(code, 2)
  t.match(stderr, /--seed should be a number/)
})
