/**
 * What can happen to a machine that works for another, on a network of machines: the job completes
 * with the pixels of a machine that works alone, or fails with the true reason.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobState } from '@comfymesh/protocol/job'
import t, { type Test } from 'tap'
import { requestJson } from '../../src/cli/agent-client.ts'
import { addressOf, attemptsAt, drawing, sampledBy, samples, startFleet, wholeOn } from './fleet.ts'
import { networkTestsLack } from './namespaces.ts'

t.setTimeout(300_000)
const skip = networkTestsLack()
if (skip) t.comment(`NOT TESTED, faults of machines that work for others: ${skip}`)

/** Long enough for something to happen in the middle. */
const STEPS = 60

t.test('faults', { skip }, async (t) => {
  const fleet = await startFleet(t)
  await fleet.settle()
  const alone = await fleet.ended(await fleet.submit(drawing(STEPS), wholeOn('carl')))
  t.equal(alone.transferBytes, 0)
  const expected = await fleet.pixels(alone)
  const { machines, agents } = fleet

  /** A job whose sampler is at work on bert. */
  async function atWork(peer = 'bert'): Promise<{ id: string; startedAt: number }> {
    await fleet.settle()
    const id = await fleet.submit(drawing(STEPS), sampledBy(peer))
    await fleet.reach(id, 'it samples', samples)
    return { id, startedAt: performance.now() }
  }

  /** Who sampled, in the order in which they were asked. */
  const samplers = (state: JobState) =>
    attemptsAt('sampler', state).map(({ peerId, status }) => `${fleet.nameOf(peerId)} ${status}`)

  async function rescued(t: Test, id: string, code: string): Promise<JobState> {
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), expected)
    const [first, second, ...more] = attemptsAt('sampler', state)
    t.match(first, { status: 'failed', error: { code } })
    t.equal(fleet.nameOf(first!.peerId), 'bert')
    t.match(second, { status: 'finished' })
    t.not(second!.peerId, first!.peerId)
    t.strictSame(more, [])
    return state
  }

  await t.test('the process of the worker is killed', async (t) => {
    const { id } = await atWork()
    await agents.bert.kill()
    await rescued(t, id, 'peer_unreachable')
    await fleet.restart('bert')
  })

  await t.test('the runner of the worker is killed', async (t) => {
    const { id } = await atWork()
    process.kill(runnerOf(agents.bert.pid), 'SIGKILL')
    await rescued(t, id, 'runner_died')
  })

  await t.test('the worker freezes, and what it says later changes nothing', async (t) => {
    const { id, startedAt } = await atWork()
    agents.bert.freeze()
    const failed = await fleet.reach(id, 'bert is given up', (state) =>
      attemptsAt('sampler', state).some(({ status }) => status === 'failed'),
    )
    t.comment(`given up after ${Math.round(performance.now() - startedAt)} ms`)
    t.match(failed.status, 'running')
    const state = await rescued(t, id, 'peer_unreachable')
    agents.bert.thaw()
    await fleet.settle()
    t.strictSame(await fleet.job(id), state)
  })

  await t.test('the cable of the worker is pulled', async (t) => {
    const { id } = await atWork()
    machines.bert.pullCable()
    await rescued(t, id, 'peer_unreachable')
    machines.bert.plugIn()
  })

  await t.test('the cable of the worker is out for a moment', async (t) => {
    const { id } = await atWork()
    machines.bert.pullCable()
    await sleep(1500)
    machines.bert.plugIn()
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), expected)
    t.strictSame(samplers(state), ['bert finished'])
  })

  await t.test('the submitter is killed', async (t) => {
    const { id } = await atWork()
    await agents.anna.kill()
    await fleet.restart('anna')
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), expected)
    t.strictSame(samplers(state), ['bert finished'], 'it was joined, not begun anew')
    const history = await requestJson(addressOf(agents.anna), '/history')
    t.equal(Object.keys(history).filter((key) => key === id).length, 1)
    const { filename_prefix } = state.request.prompt.save!.inputs
    const files = readdirSync(agents.anna.outputDir)
    t.equal(files.filter((file) => file.startsWith(`${filename_prefix}_`)).length, 1)
  })
  await t.test('the submitter and the worker are killed', async (t) => {
    const { id } = await atWork()
    await Promise.all([agents.anna.kill(), agents.bert.kill()])
    await fleet.restart('anna')
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), expected)
    const [first, second, ...more] = attemptsAt('sampler', state)
    t.equal(first!.status, 'given-up')
    t.equal(second!.status, 'finished')
    t.not(second!.peerId, first!.peerId)
    t.strictSame(more, [])
  })
})

/** The child process in which an agent's nodes run. */
function runnerOf(agentPid: number): number {
  const children = readFileSync(`/proc/${agentPid}/task/${agentPid}/children`, 'utf8')
  const pid = children
    .trim()
    .split(' ')
    .find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('runner'))
  if (pid === undefined) throw new Error(`agent ${agentPid} has no runner`)
  return Number(pid)
}
