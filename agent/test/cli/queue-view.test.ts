import t from 'tap'
import type { Queue, QueuedJob } from '../../src/cli/queue-client.ts'
import { cancelledLines, chosenJob, queueLines } from '../../src/cli/queue-view.ts'
import { plainTerminal } from './terminals.ts'

const job = (id: string, more: Partial<QueuedJob> = {}): QueuedJob => ({
  id,
  status: 'queued',
  priority: 0,
  estimateMs: null,
  startsInMs: null,
  ...more,
})
const queue: Queue = {
  paused: false,
  summary: '2 queued, 1 running, about 9.0 s',
  jobs: [
    job('aaaa1111-0000', { status: 'running', estimateMs: 5000, remainingMs: 2000 }),
    job('bbbb2222-0000', { estimateMs: 3500, startsInMs: 2000, priority: 2 }),
    job('bbbb3333-0000'),
  ],
}

t.test('the queue as a table', async (t) => {
  t.strictSame(queueLines(queue, plainTerminal), [
    '2 queued, 1 running, about 9.0 s',
    '',
    '     job       when              takes',
    '  1  aaaa1111  runs, 2.0 s left  5.0 s',
    '  2  bbbb2222  in 2.0 s          3.5 s  priority 2',
    '  3  bbbb3333  waits             ?',
  ])
  const empty = { paused: true, pausedAtMs: 0, summary: 'paused, 0 queued, 0 running', jobs: [] }
  t.match(queueLines(empty, plainTerminal), [empty.summary, /paused since .*queue resume/])
})

t.test('what became of cancelled jobs', async (t) => {
  t.strictSame(cancelledLines(['cccc4444-0000', 'aaaa1111-0000'], queue), [
    'Cancelled: cccc4444.',
    'Being cancelled (the step that runs is its last): aaaa1111.',
  ])
  const many = Array.from({ length: 7 }, (_, index) => `dddd000${index}-0000`)
  t.match(cancelledLines(many, queue), [/^Cancelled: dddd0000, .*, dddd0004, 2 more\.$/])
  t.strictSame(cancelledLines([], queue), [])
})

t.test('which job is meant', async (t) => {
  t.equal(chosenJob(queue, '2'), 'bbbb2222-0000')
  t.equal(chosenJob(queue, 'AAAA'), 'aaaa1111-0000')
  t.throws(() => chosenJob(queue, '4'), /no job 4; there is 1 to 3/)
  t.throws(() => chosenJob(queue, '0'), /no job 0/)
  t.throws(() => chosenJob(queue, 'bbbb'), /2 jobs have an id/)
  t.throws(() => chosenJob(queue, 'cccc'), /No job of the queue/)
  t.throws(() => chosenJob({ ...queue, jobs: [] }, '1'), /empty/)
})
