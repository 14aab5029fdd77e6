/** How much may wait, counted in jobs and in memory. */
import { foldJob, type JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import { createJobQueue } from '../../src/execution/job-queue.ts'
import { createQueueRoom } from '../../src/execution/queue-room.ts'

const MEGABYTE = 2 ** 20

function waitingJob(id: string, characters: number): { readonly state: JobState } {
  const extraData = { workflow: 'x'.repeat(characters) }
  const request = { id, number: 1, prompt: {}, extraData, outputs: [], createdAtMs: 1 }
  return { state: foldJob(undefined, { type: 'accepted', jobId: id, atMs: 1, request }) }
}

t.test('as many jobs as may wait', async (t) => {
  const queue = createJobQueue<{ readonly state: JobState }>()
  const reserve = createQueueRoom({ jobs: 2, bytes: MEGABYTE }, () => queue)
  queue.add(waitingJob('one', 1))
  const leave = reserve(1)
  const full = { code: 'busy', message: /2 jobs wait already.*--queue-limit/ }
  t.throws(() => reserve(1), full, 'one that is on its way has its place already')
  leave()
  reserve(1)()
  queue.add(waitingJob('two', 1))
  t.throws(() => reserve(1), full)
})

t.test('as much memory as may wait', async (t) => {
  const queue = createJobQueue<{ readonly state: JobState }>()
  const reserve = createQueueRoom({ jobs: 100, bytes: 3 * MEGABYTE }, () => queue)
  const full = { code: 'busy', message: /more than 3 MB.*cancel some/ }
  reserve(9 * MEGABYTE)()
  t.pass('one alone may be of any size')
  for (const id of ['one', 'two']) queue.add(waitingJob(id, MEGABYTE))
  t.throws(() => reserve(MEGABYTE), full)
  const leave = reserve(MEGABYTE / 2)
  t.throws(() => reserve(MEGABYTE / 2), full, 'what is on its way counts')
  leave()
  queue.remove('one')
  reserve(MEGABYTE)()
  queue.next()
  t.equal(queue.bytes, 0)
})
