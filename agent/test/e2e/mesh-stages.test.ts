/** Two agents on this machine as a mesh: stages of one run on the other, as a user asks. */
import { join } from 'node:path'
import type { JobState } from '@comfymesh/protocol/job'
import type { JsonObject } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { type BuiltAgent, testBuiltAgent } from '../built-agent.ts'
import { allOn, joinMesh, planned } from '../loopback-mesh.ts'
import { ask } from '../test-agent.ts'
import { decodePixels, historyOf, pictureOf, submit, textToImage } from './prompts.ts'

t.setTimeout(300_000)

interface Pair {
  readonly host: BuiltAgent
  readonly member: BuiltAgent
}

/** One for all tests; they leave it idle, and ask it for pictures of their own. */
let started: Promise<Pair> | undefined
const pair = () => {
  started ??= startPair(t)
  return started
}

async function startPair(t: Test): Promise<Pair> {
  const folder = t.testdir({})
  const start = (name: string) =>
    testBuiltAgent(t, join(folder, name), ['--mesh', 'on', '--name', name])
  const [host, member] = await Promise.all([start('host'), start('member')])
  await joinMesh(host, member)
  return { host, member }
}

async function jobOf(agent: BuiltAgent, id: string): Promise<JobState> {
  return (await ask(agent, 'GET', `/v1/jobs/${id}`)).body as unknown as JobState
}

/** Runs a prompt on the host, placed as asked, to its end. */
async function run(host: BuiltAgent, prompt: ReturnType<typeof textToImage>, placed: JsonObject) {
  await planned(host, prompt, placed)
  const id = await submit(host, prompt, undefined, placed)
  const entry = await historyOf(host, id)
  const pixels = await decodePixels(await pictureOf(host, entry))
  return { pixels, job: await jobOf(host, id) }
}

t.test('a prompt runs on the other machine, and its picture comes back', async (t) => {
  const { host } = await pair()
  const prompt = textToImage()
  const there = await run(host, prompt, allOn(prompt, 'member'))
  // Another name for its picture, or it would be known by now.
  prompt['9']!.inputs.filename_prefix = 'here'
  const here = await run(host, prompt, allOn(prompt, 'host'))
  t.equal(there.pixels, here.pixels)
  t.equal(there.job.stages.length, 1)
  const [far, near] = [there.job.stages[0]!, here.job.stages[0]!]
  t.not(far.peerId, near.peerId)
  t.match(far, { transferBytes: 0, provider: 'cpu' })
  t.ok(there.job.nodes.every(({ peerId }) => peerId === far.peerId))
})

t.test('a job on the other machine that is interrupted frees it', async (t) => {
  const { host, member } = await pair()
  const long = textToImage({ steps: 1000, side: 256, seed: 7 })
  await planned(host, long, allOn(long, 'member'))
  const id = await submit(host, long, undefined, allOn(long, 'member'))
  while (!(await jobOf(host, id)).nodes.some(({ nodeId, value }) => nodeId === '3' && value > 0)) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await ask(host, 'POST', '/interrupt')
  const { status } = await historyOf(host, id)
  t.equal(status.messages.at(-1)![0], 'execution_interrupted')
  const short = textToImage({ seed: 8 })
  const freed = await run(member, short, allOn(short, 'member'))
  t.equal(freed.job.status, 'completed')
})
