import t from 'tap'
import { queueSummary } from '../../../src/gateway/v1/queue-summary.ts'

t.test('the queue in a line', async (t) => {
  const line = (more: object) =>
    queueSummary({ paused: false, queued: 10, running: 1, remainingMs: null, ...more })
  t.equal(line({ remainingMs: 230_400 }), '10 queued, 1 running, about 3 min 50 s')
  t.equal(line({}), '10 queued, 1 running, no estimate yet')
  t.equal(line({ remainingMs: 12 }), '10 queued, 1 running, about 1.0 s')
  t.equal(line({ paused: true, remainingMs: 61_000 }), 'paused, 10 queued, 1 running, about 61 s')
  t.equal(line({ queued: 0, running: 0, remainingMs: 0 }), '0 queued, 0 running')
})
