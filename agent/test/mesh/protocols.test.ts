/** What the release before says is understood. */
import t from 'tap'
import { protocols } from '../../src/mesh/protocols.ts'

t.test('a follower that says nothing of pulses counts on them', async (t) => {
  t.strictSame(protocols.advertisement.request.parse({}), { pulses: true })
})
