/** What goes wrong around a job is told, and the agent goes on. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { followJob } from '../../src/cli/agent-client.ts'
import { runBuilt, testBuiltAgent } from '../built-agent.ts'
import { descendants } from '../processes.ts'
import { ask } from '../test-agent.ts'
import {
  errorOf,
  historyOf,
  pictureOf,
  runJob,
  shippedCheckpoint,
  submit,
  textToImage,
} from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

/** Seconds of work: what happens at the first of them happens in its middle. */
const STEPS = 400

t.test('during sampling', async (t) => {
  const agent = await testBuiltAgent(t)
  let seed = 0
  /** Submits another prompt and does something at the first step of each attempt. */
  const atFirstStep = async (work: (attempt: number) => Promise<unknown>) => {
    seed += 1
    await ask(agent, 'POST', '/v1/queue/pause')
    const id = await submit(agent, textToImage({ seed, steps: STEPS }))
    let attempts = 0
    const done: Promise<unknown>[] = []
    const state = await followJob(agent, id, (_state, event) => {
      // It begins when it is listened to: its first step may come sooner than an answer is read.
      if (event === undefined) done.push(ask(agent, 'POST', '/v1/queue/resume'))
      if (event?.type !== 'node-progress' || event.value !== 1) return
      attempts += 1
      done.push(work(attempts))
    })
    await Promise.all(done)
    return { attempts, state, entry: await historyOf(agent, id) }
  }
  const killRunner = async () => {
    for (const pid of await descendants(agent.pid)) process.kill(pid, 'SIGKILL')
  }

  await t.test('an interrupted job ends as such, at once', async (t) => {
    const { state, entry } = await atFirstStep(() => ask(agent, 'POST', '/interrupt'))
    t.match(state, { status: 'interrupted', endNodeId: '3' })
    t.match(entry.status, { status_str: 'error', completed: false })
    t.equal(entry.status.messages.at(-1)?.[0], 'execution_interrupted')
    const sampler = state.nodes.find(({ nodeId }) => nodeId === '3')
    t.ok(sampler!.value < STEPS, `not all of its ${STEPS} steps ran`)
  })

  await t.test('a runner that is killed once: the job runs again and completes', async (t) => {
    const { attempts, entry } = await atFirstStep(async (attempt) => {
      if (attempt === 1) await killRunner()
    })
    t.equal(attempts, 2)
    t.ok(entry.status.completed)
    t.ok(await pictureOf(agent, entry))
  })

  await t.test('a runner that is killed each time: the job fails and says why', async (t) => {
    const { attempts, state, entry } = await atFirstStep(killRunner)
    t.equal(attempts, 2)
    t.equal(state.status, 'failed')
    const error = errorOf(entry)
    t.match(error, { node_id: '3', node_type: 'KSampler', exception_type: 'runner_died' })
    t.match(error?.exception_message, /The runner process ended while it ran node 3 \(KSampler\)/)
  })

  await t.test('the next job works', async (t) => {
    t.ok((await runJob(agent, textToImage({ seed: 100 }))).status.completed)
  })
})

t.test('a checkpoint that was cut off', async (t) => {
  const folder = t.testdir({ models: { checkpoints: {} } })
  const half = shippedCheckpoint().subarray(0, 2 ** 20)
  writeFileSync(join(folder, 'models', 'checkpoints', 'half.safetensors'), half)
  const models = ['--models', join(folder, 'models')]
  const agent = await testBuiltAgent(t, join(folder, 'data'), models)
  const entry = await runJob(agent, textToImage({ checkpoint: 'half.safetensors' }))
  const error = errorOf(entry)
  t.match(error, { node_type: 'CheckpointLoaderSimple', exception_type: 'malformed_file' })
  t.match(error?.exception_message, /half\.safetensors/)
  t.ok((await runJob(agent, textToImage())).status.completed, 'the agent goes on')
})

t.test('a data folder belongs to one agent', async (t) => {
  const agent = await testBuiltAgent(t)
  const { code, stderr } = await runBuilt(['start', '--port', '0', '--data-dir', agent.dataDir])
  t.equal(code, 1)
  t.match(stderr, /^Another comfymesh agent is using the data folder .*--data-dir\.\n$/)
  t.ok((await ask(agent, 'GET', '/health')).body.ready, 'the first is not disturbed')
})

t.test('a port that is taken', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const dataDir = join(t.testdir({}), 'data')
  const { code, stderr } = await runBuilt(['start', '--port', `${port}`, '--data-dir', dataDir])
  t.equal(code, 2)
  t.match(stderr, new RegExp(`^Port ${port} is taken.*--port.*\\n$`))
})
