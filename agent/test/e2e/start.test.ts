/** `comfymesh start` as a ComfyUI client sees it: a prompt over HTTP and WebSocket becomes a picture. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { testBuiltAgent } from '../built-agent.ts'
import { descendants, isAlive } from '../processes.ts'
import { ask, connect, isEnd } from '../test-agent.ts'
import { historyOf, pictureOf, pixelsOf, runJob, submit, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

/** The largest that ComfyUI's seed widget knows. */
const SEED = 2n ** 64n - 1n

t.test('a prompt becomes a picture', async (t) => {
  const agent = await testBuiltAgent(t)
  t.match(agent.greeting, /^comfymesh \d+\.\d+\.\d+ is running at http:\/\/127\.0\.0\.1:\d+\n/)
  t.match(agent.greeting, /1 checkpoint/, 'the model that ships with the program is found')
  const health = await ask(agent, 'GET', '/health')
  t.match(health.body, { ready: true, url: agent.url, version: /^\d+\.\d+\.\d+$/ })

  const socket = await connect(t, agent, '?clientId=tester')
  const prompt = textToImage({ seed: SEED })
  const id = await submit(agent, prompt, 'tester')
  await socket.until(isEnd(id))
  checkOrder(t, socket.messages, id)

  const entry = await historyOf(agent, id)
  t.match(entry.status, { status_str: 'success', completed: true })
  t.equal(seedOf(entry.prompt[2] as JsonObject), SEED, 'the seed is whole in the history')

  const picture = await pictureOf(agent, entry)
  t.match(await sharp(picture).metadata(), { format: 'png', width: 64, height: 64 })
  const texts = Object.fromEntries(readPngText(picture))
  t.equal(seedOf(parseJson(texts.prompt!) as JsonObject), SEED, 'and in the picture')

  const stopped = await stopWithRunner(t, agent)
  t.equal(stopped.code, 0)
  t.equal(agent.stderr(), '', 'nothing went wrong')
})

t.test('what is ignored is told of: model files, and what a prompt mentions in vain', async (t) => {
  const models = t.testdir({ checkpoints: { 'cut.safetensors': 'nonsense' } })
  const agent = await testBuiltAgent(t, join(models, 'data'), ['--models', models])
  const id = await submit(agent, textToImage({ text: 'a circle, embedding:nothing' }), 'tester')
  const told = [
    'Warning: 1 model file cannot be used; `comfymesh doctor` says which and why.',
    "warn: CLIPTextEncode (node 6): There is no embedding 'nothing'; it is ignored.",
  ]
  while (!told.every((line) => agent.stderr().includes(line))) await setTimeout(20)
  t.match(agent.greeting, '2 checkpoints')
  await historyOf(agent, id)
  const { body } = await ask(agent, 'GET', `/v1/jobs/${id}`)
  const warned = (body.nodes as JsonObject[]).filter(({ warnings }) => warnings !== undefined)
  t.match(warned, [{ nodeId: '6', warnings: [/^There is no embedding 'nothing'/] }])
})

t.test('a seed decides the pixels, whatever ran before', async (t) => {
  const agent = await testBuiltAgent(t)
  const first = await pixelsOf(agent, textToImage({ seed: 5 }))
  t.not(await pixelsOf(agent, textToImage({ seed: 6 })), first)
  const cached = await runJob(agent, textToImage({ seed: 5 }))
  t.match(cached.status.messages.at(1), ['execution_cached', { nodes: { length: 7 } }])

  const other = await testBuiltAgent(t)
  t.equal(await pixelsOf(other, textToImage({ seed: 5 })), first, 'another agent draws the same')
})

function seedOf(prompt: JsonObject): unknown {
  return (prompt['3'] as { inputs: JsonObject }).inputs.seed
}

/** ComfyUI's order: start, cached, each node, success, and the empty `executing` last. */
function checkOrder(
  t: Test,
  messages: readonly { readonly type: string; readonly data: JsonObject }[],
  id: string,
): void {
  const own = messages.filter(({ data }) => data.prompt_id === id)
  const types = own.map(({ type }) => type)
  t.strictSame(types.slice(0, 2), ['execution_start', 'execution_cached'])
  t.strictSame(types.slice(-2), ['execution_success', 'executing'])
  const nodes = own.filter(({ type }) => type === 'executing').map(({ data }) => data.node)
  t.equal(nodes.at(-1), null)
  t.strictSame(nodes.slice(0, -1).sort(), ['3', '4', '5', '6', '7', '8', '9'])
  for (const [before, after] of [
    ['4', '6'],
    ['6', '3'],
    ['5', '3'],
    ['3', '8'],
    ['8', '9'],
  ] as const) {
    t.ok(nodes.indexOf(before) < nodes.indexOf(after), `${before} runs before ${after}`)
  }
  const steps = own.filter(({ type }) => type === 'progress').map(({ data }) => data.value)
  t.equal(steps.at(-1), 2)
  t.strictSame(
    steps,
    steps.toSorted((a, b) => Number(a) - Number(b)),
  )
  t.match(own.find(({ type }) => type === 'executed')?.data, {
    node: '9',
    output: { images: [{}] },
  })
}

/** Stops the agent and checks that nothing of it stays behind. */
async function stopWithRunner(t: Test, agent: Awaited<ReturnType<typeof testBuiltAgent>>) {
  const runners = await descendants(agent.pid)
  t.ok(runners.length > 0, 'there was a runner')
  const stopped = await agent.stop()
  for (const runner of runners) t.notOk(await isAlive(runner), 'the runner ended too')
  return stopped
}
