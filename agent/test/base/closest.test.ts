import t from 'tap'
import { closest } from '../../src/base/closest.ts'

t.test('the closest word, if it is close', async (t) => {
  t.equal(closest('strat', ['start', 'run']), 'start')
  t.equal(closest('xyz', ['start', 'run']), undefined)
  t.equal(closest('prot', ['host', 'port']), 'port', 'neighbours that changed places')
})
