/**
 * `comfymesh demo`: three agents on this computer become one ComfyUI. They find each other, one
 * takes a whole prompt, two share one by its stages, and one is lost in the middle of a third.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobState } from '@comfymesh/protocol/job'
import { issuedInviteSchema, joinedSchema } from '@comfymesh/protocol/mesh'
import { meshModelsSchema } from '@comfymesh/protocol/mesh-models'
import type { PlanOptions } from '@comfymesh/protocol/plan'
import { duration } from '../base/duration.ts'
import { followJob, request, requestJson, submitPrompt } from './agent-client.ts'
import { type Arguments, textOf, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { type Machine, startMachine } from './demo/machines.ts'
import { type ModelPart, modelParts } from './demo/model-parts.ts'
import { type Drawing, demoPrompt } from './demo/prompt.ts'
import { createStory, outcomeLine, peerName, type Story } from './demo/story.ts'
import { askMesh } from './mesh-access.ts'
import { failureLine } from './problems.ts'
import { madeFiles } from './saved-pictures.ts'
import { type Terminal, terminalAt } from './terminal.ts'

const DEFAULT_TEXT = 'a red circle on a blue background'

export const demoCommand: Command = {
  name: 'demo',
  summary: 'Three agents on this computer share the work of a picture',
  usage: 'demo [text] [options]',
  description:
    'The model that ships with comfymesh knows coloured shapes, their sizes, places, textures and backgrounds.',
  options: [
    { flag: 'seed', placeholder: '<number>', description: 'Another picture', defaults: '1' },
    {
      flag: 'out',
      placeholder: '<folder>',
      description: 'Where the pictures go',
      defaults: './output',
    },
  ],
  examples: [
    { command: 'comfymesh demo', what: DEFAULT_TEXT },
    { command: 'comfymesh demo "a yellow star above a green square"', what: 'something else' },
  ],
  run,
}

/** Who there is, and what each has. */
const cast: readonly { name: string; parts: readonly ModelPart[]; has: string }[] = [
  { name: 'desk', parts: ['text', 'vae'], has: 'the text encoder and the VAE' },
  { name: 'tower', parts: ['unet'], has: 'the UNet' },
  { name: 'studio', parts: ['text', 'unet', 'vae'], has: 'everything' },
]

/** The machines of the demo, by their parts in it. */
interface Machines {
  readonly desk: Machine
  readonly tower: Machine
  readonly studio: Machine
}

interface Stage {
  readonly machines: Machines
  readonly drawing: Drawing
  readonly story: Story
  readonly outputDir: string
}

async function run(given: Arguments): Promise<number> {
  const drawing = {
    text: given.positionals.join(' ') || DEFAULT_TEXT,
    seed: seedOf(textOf(given, 'seed') ?? '1'),
  }
  const outputDir = resolve(textOf(given, 'out') ?? 'output')
  const terminal = terminalAt(process.stdout)
  const story = createStory(terminal, (line) => console.log(line))
  console.log(terminal.paint('bold', 'Three machines, one ComfyUI'))
  console.log(
    'Three agents on this computer, each with an identity, folders and models of its own.',
  )
  const root = mkdtempSync(join(tmpdir(), 'comfymesh-demo-'))
  const processes = createProcesses()
  try {
    return await Promise.race([
      play({ root, outputDir, drawing, story, terminal, processes }),
      leaving(),
    ])
  } finally {
    await processes.end()
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
}

interface Play {
  readonly root: string
  readonly outputDir: string
  readonly drawing: Drawing
  readonly story: Story
  readonly terminal: Terminal
  readonly processes: Processes
}

async function play({
  root,
  outputDir,
  drawing,
  story,
  terminal,
  processes,
}: Play): Promise<number> {
  const machines = await startAll(root, outputDir, processes)
  const stage = { machines, drawing, story, outputDir }
  await findEachOther(stage)
  const whole = await oneTakesAll(stage)
  const split = await twoShare(stage)
  const saved = await oneIsLost(stage)
  return end([whole, split, saved], outputDir, terminal)
}

/** The shell's exit code of a program that Ctrl-C ended. */
const INTERRUPTED = 130

/** Ctrl-C: the agents are stopped and their folders removed before the program ends. */
function leaving(): Promise<number> {
  return new Promise((resolve) => process.once('SIGINT', () => resolve(INTERRUPTED)))
}

function seedOf(text: string): bigint {
  if (/^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n) return BigInt(text)
  throw new UsageError(`--seed should be a number from 0 to 2^64 - 1, not '${text}'.`)
}

/** Everything that was started, also what has not come so far that it serves. */
interface Processes {
  add(one: Pick<Machine, 'stop'>): void
  /** Ends them all, and at once whatever is still added. */
  end(): Promise<void>
}

function createProcesses(): Processes {
  const all: Pick<Machine, 'stop'>[] = []
  let isOver = false
  return {
    add(one) {
      all.push(one)
      if (isOver) void one.stop()
    },
    async end() {
      isOver = true
      await Promise.all(all.map((one) => one.stop()))
    },
  }
}

async function startAll(root: string, outputDir: string, processes: Processes): Promise<Machines> {
  const threads = Math.max(1, Math.floor(availableParallelism() / 2))
  const all = await Promise.all(
    cast.map(({ name, parts }) =>
      startMachine({ name, parts, root, outputDir, threads, onSpawned: processes.add }),
    ),
  )
  const [desk, tower, studio] = all as [Machine, Machine, Machine]
  return { desk, tower, studio }
}

async function findEachOther({ machines, story }: Stage): Promise<void> {
  story.scene('They find each other')
  const startedAt = performance.now()
  const { desk, tower, studio } = machines
  const { line } = await askMesh(desk.agent, 'POST', 'invites', issuedInviteSchema, { uses: 2 })
  for (const { agent } of [tower, studio])
    await askMesh(agent, 'POST', 'join', joinedSchema, { invite: line })
  for (const { agent } of Object.values(machines)) await seesEverybody(agent)
  for (const { name, has } of cast)
    story.say(`${name.padEnd(7)} has ${has.padEnd(29)} ${agentOf(machines, name).url}`)
  story.good(`One mesh after ${duration(performance.now() - startedAt)}: an invite, two joins`)
}

const agentOf = (machines: Machines, name: string) => machines[name as keyof Machines].agent

/** Long enough for a slow computer; a mesh of three takes two seconds. */
const PATIENCE_MS = 30_000
const LOOK_MS = 50

/** Waits until an agent knows what every other one has. */
async function seesEverybody(agent: Machine['agent']): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await knowsModels(agent))) {
    if (performance.now() > deadline)
      throw new Error('The agents of the demo did not find each other. See `comfymesh doctor`.')
    await sleep(LOOK_MS)
  }
}

/** Whether it knows each network on as many machines as have it. */
async function knowsModels(agent: Machine['agent']): Promise<boolean> {
  const { models } = meshModelsSchema.parse(await requestJson(agent, '/v1/models'))
  return Object.entries(modelParts).every(([part, { file }]) => {
    const holders = models
      .filter(({ name }) => name === basename(file))
      .flatMap(({ files }) => files.flatMap((one) => one.holders))
    return holders.length === cast.filter(({ parts }) => parts.some((one) => one === part)).length
  })
}

async function oneTakesAll(stage: Stage): Promise<JobState> {
  const { story, machines, drawing } = stage
  story.scene('A prompt given to desk, which lacks the UNet')
  story.say(`"${drawing.text}"`)
  const state = await draw(stage, 'demo-together', { affinity: {}, fallback: 'auto' })
  story.good(outcomeLine(state))
  story.say(`why: ${state.plan?.placements[0]?.reason ?? ''}`)
  story.timeline(state)
  await forgetOutputs(machines)
  return state
}

async function twoShare(stage: Stage): Promise<JobState> {
  const { story, machines } = stage
  story.scene('The same picture without studio: desk reads and decodes, tower samples')
  const affinity = { CLIPTextEncode: 'desk', KSampler: 'tower', VAEDecode: 'desk' }
  const state = await draw(stage, 'demo-shared', { affinity, fallback: 'none' })
  story.good(outcomeLine(state))
  story.timeline(state)
  await forgetOutputs(machines)
  return state
}

/** Steps after which the machine that samples is lost. */
const LOST_AFTER = 8

async function oneIsLost(stage: Stage): Promise<JobState> {
  const { story, machines } = stage
  story.scene('Once more, and tower is lost in the middle')
  const affinity = { CLIPTextEncode: 'desk', KSampler: 'tower', VAEDecode: 'desk' }
  let lost: Promise<void> | undefined
  const state = await draw(stage, 'demo-rescued', { affinity, fallback: 'auto' }, (now) => {
    const sampler = now.nodes.find(({ nodeId }) => nodeId === 'sampler')
    if (lost !== undefined || sampler === undefined || sampler.value < LOST_AFTER) return
    story.bad(`tower was killed at step ${sampler.value} of ${sampler.max}`)
    lost = machines.tower.kill()
  })
  await lost
  const rescuer = state.stages.find(({ stageId }) =>
    state.plan?.stages.find(({ id }) => id === stageId)?.nodes.some(({ id }) => id === 'sampler'),
  )
  if (rescuer !== undefined) story.say(`${peerName(state, rescuer.peerId)} sampled instead`)
  story.good(outcomeLine(state))
  story.timeline(state)
  return state
}

/** Gives a prompt to desk and follows it. @throws Error when it fails. */
async function draw(
  { machines, drawing }: Stage,
  name: string,
  comfymesh: PlanOptions,
  listener: (state: JobState) => void = () => {},
): Promise<JobState> {
  const { agent } = machines.desk
  const prompt = demoPrompt(drawing, name)
  const { id } = await submitPrompt(agent, { prompt, extraData: { comfymesh } })
  const state = await followJob(agent, id, listener)
  if (state.status === 'completed') return state
  const why = state.error && failureLine(state.error, prompt, state.endNodeId)
  throw new Error(`The job ${state.status}${why === undefined ? '' : `: ${why}`}`)
}

/** Every picture is computed anew: nobody remembers the one before. */
async function forgetOutputs(machines: Machines): Promise<void> {
  const body = JSON.stringify({ free_memory: true })
  for (const { agent } of Object.values(machines))
    await request(agent, '/free', { method: 'POST', body })
}

async function end(
  states: readonly JobState[],
  outputDir: string,
  terminal: Terminal,
): Promise<number> {
  const paths = states.flatMap((state) =>
    madeFiles(state).map(({ file }) => join(outputDir, file.subfolder, file.filename)),
  )
  const { pictureRows } = await import('./terminal-picture.ts')
  const digests = new Set(await Promise.all(paths.map(pixelDigest)))
  const isSame = paths.length === states.length && digests.size === 1
  console.log('')
  if (terminal.hasTrueColor) console.log((await pictureRows(paths[0]!, 48, 24)).join('\n'))
  for (const path of paths) console.log(`Picture: ${relative('.', path) || path}`)
  console.log(
    isSame
      ? terminal.paint('green', 'All three have the same pixels.')
      : terminal.paint('red', 'The pictures differ, and should not.'),
  )
  return isSame ? 0 : 1
}

/** Of the pixels alone: each picture carries the name under which it was made. */
async function pixelDigest(path: string): Promise<string> {
  const { default: sharp } = await import('sharp')
  return createHash('sha256')
    .update(await sharp(path).raw().toBuffer())
    .digest('hex')
}
