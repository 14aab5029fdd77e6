/** The queue and the cache: what clients wait for when the agent has much or nothing to do. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type BuiltAgent, startBuiltAgent } from '../built-agent.ts'
import { submit, textToImage } from '../e2e/prompts.ts'
import { processTree } from '../processes.ts'
import { ask } from '../test-agent.ts'
import { type Bench, type Benchmark, median } from './benchmark.ts'

const REPEATS = 100

export const cachedPrompt: Benchmark = {
  name: 'cached-prompt',
  unit: 'ms',
  target: 10,
  better: 'lower',
  about: `a prompt that ran before: POST /prompt to execution_success on the WebSocket, median of ${REPEATS}`,
  run: (bench) =>
    withAgent(bench, async (agent) => {
      const socket = await listen(agent)
      const prompt = textToImage()
      await runToSuccess(agent, socket, prompt)
      const elapsedMs: number[] = []
      for (let i = 0; i < REPEATS; i++) elapsedMs.push(await runToSuccess(agent, socket, prompt))
      socket.close()
      return median(elapsedMs)
    }),
}

const QUEUED = 1000
/** A workflow as a frontend sends it along: 11 KB of JSON. */
const workflow = {
  version: 0.4,
  nodes: Array.from({ length: 30 }, (_, id) => ({
    id,
    type: 'KSampler',
    pos: [id * 10.5, id * 20.25],
    size: [315, 262],
    flags: {},
    order: id,
    mode: 0,
    inputs: [
      { name: 'model', type: 'MODEL', link: id },
      { name: 'latent_image', type: 'LATENT', link: id + 100 },
    ],
    outputs: [{ name: 'LATENT', type: 'LATENT', slot_index: 0, links: [id + 200] }],
    properties: { 'Node name for S&R': 'KSampler' },
    widgets_values: [id, 'randomize', 20, 8, 'euler', 'normal', 1],
  })),
}
const WARM_UP = 300
const SETTLE_MS = 3000

export const queue1000: Benchmark = {
  name: 'queue-1000',
  unit: 'MB',
  target: 50,
  better: 'lower',
  about: `resident memory that ${QUEUED} queued prompts with their workflows add to an agent that had ${WARM_UP} before; their order is checked`,
  run: (bench) =>
    withAgent(bench, async (agent) => {
      await ask(agent, 'POST', '/v1/queue/pause')
      // The first prompts make the program itself grow, whether they stay in the queue or not.
      for (let seed = 0; seed < WARM_UP; seed++) await queueOne(agent, seed)
      await ask(agent, 'POST', '/queue', { clear: true })
      await sleep(SETTLE_MS)
      const before = await residentBytes(agent)
      const ids: string[] = []
      for (let seed = 0; seed < QUEUED; seed++) ids.push(await queueOne(agent, seed))
      await checkOrder(agent, ids)
      await sleep(SETTLE_MS)
      return ((await residentBytes(agent)) - before) / 1e6
    }),
}

async function queueOne(agent: BuiltAgent, seed: number): Promise<string> {
  const body = { prompt: textToImage({ seed }), extra_data: { extra_pnginfo: { workflow } } }
  const answer = await ask(agent, 'POST', '/prompt', body)
  if (answer.status !== 200) throw new Error(`POST /prompt: ${answer.text}`)
  return String(answer.body.prompt_id)
}

/** ComfyUI's clients sort the queue by its numbers. @throws Error */
async function checkOrder(agent: BuiltAgent, ids: readonly string[]): Promise<void> {
  const { body } = await ask(agent, 'GET', '/queue')
  const pending = body.queue_pending as [number: number, id: string][]
  const sorted = pending.toSorted(([a], [b]) => a - b).map(([, id]) => id)
  if (sorted.join() !== ids.join()) throw new Error('the queue is not in the order of submission')
}

async function residentBytes({ pid }: BuiltAgent): Promise<number> {
  return (await processTree(pid)).find((one) => one.pid === pid)!.residentBytes
}

/** Enough for a p99 that one hiccup does not decide. */
const REQUESTS = 1000
const LONG_STEPS = 2000

export const apiP99Busy: Benchmark = {
  name: 'api-p99-busy',
  unit: 'ms',
  target: 20,
  better: 'lower',
  about: `GET /queue while a picture is being made, 99th percentile of ${REQUESTS}`,
  run: (bench) =>
    withAgent(bench, async (agent) => {
      const socket = await listen(agent)
      const working = waitFor(socket, 'progress')
      const id = await submit(agent, textToImage({ side: 256, steps: LONG_STEPS }), CLIENT)
      await working
      const elapsedMs: number[] = []
      for (let i = 0; i < REQUESTS; i++)
        elapsedMs.push(await timed(() => ask(agent, 'GET', '/queue')))
      const { body } = await ask(agent, 'GET', '/queue')
      if ((body.queue_running as unknown[]).length !== 1)
        throw new Error(`job ${id} ended too soon`)
      socket.close()
      return elapsedMs.toSorted((a, b) => a - b)[Math.ceil(REQUESTS * 0.99) - 1]!
    }),
}

const CLIENT = 'bench'

async function withAgent<T>(bench: Bench, use: (agent: BuiltAgent) => Promise<T>): Promise<T> {
  const agent = await startBuiltAgent(bench.newFolder())
  try {
    return await use(agent)
  } finally {
    await agent.stop()
  }
}

async function listen({ url }: BuiltAgent): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?clientId=${CLIENT}`)
  await once(socket, 'open')
  return socket
}

/** Resolves when the first message of that type arrives. */
function waitFor(socket: WebSocket, type: string): Promise<void> {
  return new Promise((resolve) => {
    const check = (data: Buffer, isBinary: boolean) => {
      if (isBinary || JSON.parse(String(data)).type !== type) return
      socket.off('message', check)
      resolve()
    }
    socket.on('message', check)
  })
}

function runToSuccess(
  agent: BuiltAgent,
  socket: WebSocket,
  prompt: ReturnType<typeof textToImage>,
) {
  return timed(() =>
    Promise.all([waitFor(socket, 'execution_success'), submit(agent, prompt, CLIENT)]),
  )
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await action()
  return performance.now() - startedAt
}
