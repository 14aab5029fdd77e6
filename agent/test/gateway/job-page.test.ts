import { foldJob } from '@comfymesh/protocol/job'
import { entryOf, type JobEntry, summariseJob } from '@comfymesh/protocol/job-summary'
import t from 'tap'
import { pageOf } from '../../src/gateway/job-page.ts'

/** As many jobs, numbered, and what was read of them. */
function jobsOf(count: number) {
  const states = Array.from({ length: count }, (_, number) => {
    const id = `job ${number}`
    const request = { id, number, prompt: {}, extraData: {}, outputs: [], createdAtMs: number }
    return foldJob(undefined, { type: 'accepted', jobId: id, atMs: number, request })
  })
  const byId = new Map(states.map((state) => [state.request.id, state]))
  const read: string[] = []
  const summaries = async (jobs: readonly JobEntry[]) => {
    read.push(...jobs.map(({ id }) => id))
    return jobs.map(({ id }) => summariseJob(byId.get(id)!))
  }
  return { all: states.map(entryOf), read, runner: { summaries } }
}

t.test('a page reads what is on it and nothing else', async (t) => {
  const { all, read, runner } = jobsOf(1000)
  const { jobs, total } = await pageOf(runner, all, { offset: 600, limit: 2 })
  t.strictSame(
    jobs.map(({ number }) => number),
    [600, 601],
  )
  t.equal(total, 1000)
  t.strictSame(read, ['job 600', 'job 601'])
  t.equal((await pageOf(runner, all, { offset: 990 })).jobs.length, 10, 'no limit')
})

t.test('what only summaries tell is searched, as far as it has to be', async (t) => {
  const isAsked = ({ number }: { readonly number: number }) => number % 10 === 0
  const { all, read, runner } = jobsOf(1000)
  const whole = await pageOf(runner, all, { offset: 30, limit: 2, isAsked })
  t.strictSame(
    whole.jobs.map(({ number }) => number),
    [300, 310],
  )
  t.equal(whole.total, 100, 'all are counted')
  t.equal(read.length, 1000)
  read.length = 0
  const part = await pageOf(runner, all, { offset: 1, limit: 2, isAsked, countTo: 4 })
  t.strictSame(
    part.jobs.map(({ number }) => number),
    [10, 20],
  )
  t.ok(part.total > 3)
  t.ok(read.length < 1000, 'no further than it takes')
})
