/**
 * Four machines that share one model: what each lacks another has, so that a prompt can be made to
 * run where a test wants it, and what is lost can be made again elsewhere.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isFinished, type JobState, plansOf } from '@comfymesh/protocol/job'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import type { JsonValue } from '@comfymesh/protocol/json'
import { meshModelsSchema } from '@comfymesh/protocol/mesh-models'
import type { PlanOptions } from '@comfymesh/protocol/plan'
import type { Prompt } from '@comfymesh/protocol/workflow'
import type { Test } from 'tap'
import { request, requestJson, submitPrompt } from '../../src/cli/agent-client.ts'
import { type ModelPart, modelParts, writeModelParts } from '../../src/cli/demo/model-parts.ts'
import { demoPrompt } from '../../src/cli/demo/prompt.ts'
import { madeFiles } from '../../src/cli/saved-pictures.ts'
import {
  allSeeEachOther,
  createNetwork,
  type Machine,
  type MeshAgent,
  makeMesh,
  TOKEN,
  until,
} from './namespaces.ts'
import { decodePixels } from './prompts.ts'

const cast = {
  /** Whom the tests give their prompts to. */
  anna: ['text', 'vae'],
  /** Whom the faults happen to. */
  bert: ['unet'],
  carl: ['text', 'unet', 'vae'],
  dora: ['unet'],
} as const satisfies { readonly [name: string]: readonly ModelPart[] }

export type Name = keyof typeof cast
const names = Object.keys(cast) as Name[]

/** Somebody who gives prompts to one agent and looks at what becomes of them. */
export interface Submitter {
  /** @returns the job's id. */
  submit(prompt: Prompt, options?: Partial<PlanOptions>): Promise<string>
  job(id: string): Promise<JobState>
  /** Waits until something holds for a job. @throws Error when the job ends before. */
  reach(id: string, what: string, holds: (state: JobState) => boolean): Promise<JobState>
  ended(id: string): Promise<JobState>
  /** Pixels of the only picture that a job showed. */
  pixels(state: JobState): Promise<string>
}

export interface Fleet extends Submitter {
  readonly machines: Readonly<Record<Name, Machine>>
  readonly agents: Readonly<Record<Name, MeshAgent>>
  /** Starts an agent that has ended. */
  restart(name: Name): Promise<void>
  /** Waits until all are there and know what the others have; then nobody remembers any results. */
  settle(): Promise<void>
  nameOf(peerId: string): string
}

export interface Special {
  /** As in `StartOptions`. */
  readonly program?: readonly string[]
  /** Its values lie on a disk of their own that has so much room. */
  readonly diskBytes?: number
}

/** They end with the test. */
export async function startFleet(
  t: Test,
  special: { readonly [name in Name]?: Special } = {},
): Promise<Fleet> {
  const folder = t.testdir({})
  const network = createNetwork(t, names.length)
  const machines = {} as Record<Name, Machine>
  const agents = {} as Record<Name, MeshAgent>
  const peerNames = new Map<string, string>()

  async function start(name: Name): Promise<void> {
    const models = join(folder, name, 'models')
    const { program } = special[name] ?? {}
    const argv = ['--models', models]
    agents[name] = await machines[name].start(name, { argv, ...(program && { program }) })
  }

  for (const [index, name] of names.entries()) {
    machines[name] = network.machines[index]!
    await writeModelParts(join(folder, name, 'models'), cast[name])
    const { diskBytes } = special[name] ?? {}
    if (diskBytes !== undefined) mountDisk(t, join(folder, name, 'blobs'), diskBytes)
  }
  await Promise.all(names.map(start))
  await makeMesh(agents.anna, agents.bert, agents.carl, agents.dora)
  for (const { peerId, name } of (await agents.anna.peers()).peers) peerNames.set(peerId, name)
  const nameOf = (peerId: string) => peerNames.get(peerId) ?? peerId

  return {
    machines,
    agents,
    restart: start,
    nameOf,
    async settle() {
      const all = Object.values(agents)
      await allSeeEachOther(...all)
      for (const agent of all) await until(`${agent.name} knows all models`, () => knowsAll(agent))
      await forgetResults(all)
    },
    ...createSubmitter(() => agents.anna),
  }
}

/** Whatever they are given next is computed. */
export async function forgetResults(agents: readonly MeshAgent[]): Promise<void> {
  const body = JSON.stringify({ free_memory: true })
  for (const agent of agents) await request(addressOf(agent), '/free', { method: 'POST', body })
}

/** @param to the agent, which may be another one after a restart. */
export function createSubmitter(to: () => MeshAgent): Submitter {
  async function job(id: string): Promise<JobState> {
    return (await requestJson(addressOf(to()), `/v1/jobs/${id}`)) as unknown as JobState
  }
  return {
    job,
    async submit(prompt, { affinity = {}, fallback = 'auto' } = {}) {
      const extraData = { comfymesh: { affinity, fallback } }
      return (await submitPrompt(addressOf(to()), { prompt, extraData })).id
    },
    async reach(id, what, holds) {
      let state: JobState
      await until(`job ${id}: ${what}`, async () => {
        state = await job(id)
        if (!holds(state) && isFinished(state)) throw new Error(`${id} ${state.status}: ${what}`)
        return holds(state)
      })
      return state!
    },
    async ended(id) {
      await until(`job ${id} ends`, async () => isFinished(await job(id)), 60_000)
      return job(id)
    },
    async pixels(state) {
      const [made, ...more] = madeFiles(state)
      if (made === undefined || more.length > 0 || state.status !== 'completed')
        throw new Error(`${state.status}: ${JSON.stringify(state.error)}`)
      const query = new URLSearchParams({ ...made.file })
      const response = await request(addressOf(to()), `/view?${query}`)
      return decodePixels(new Uint8Array(await response.arrayBuffer()))
    },
  }
}

/** A disk of its own behind a folder. It lies elsewhere, as the test's folder goes before it does. */
function mountDisk(t: Test, folder: string, sizeBytes: number): void {
  const disk = mkdtempSync(join(tmpdir(), 'comfymesh-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', disk])
  t.teardown(() => {
    execFileSync('umount', ['--lazy', disk])
    rmdirSync(disk)
  })
  mkdirSync(dirname(folder), { recursive: true })
  symlinkSync(disk, folder)
}

export function addressOf({ url }: MeshAgent): { url: string; token: string } {
  return { url, token: TOKEN }
}

/** Whether it knows each network on all machines that have it. */
async function knowsAll(agent: MeshAgent): Promise<boolean> {
  const { models } = meshModelsSchema.parse(await requestJson(addressOf(agent), '/v1/models'))
  return (Object.keys(modelParts) as ModelPart[]).every((part) => {
    const found = models.filter(({ name }) => modelParts[part].file.endsWith(`/${name}`))
    const holders = found.flatMap(({ files }) => files.flatMap((one) => one.holders))
    const having = names.filter((name) => (cast[name] as readonly ModelPart[]).includes(part))
    return holders.length === having.length
  })
}

let pictures = 0

/** A picture with each network from a file of its own; all with as many steps have the same pixels. */
export function drawing(steps: number, side = 64): Prompt {
  const prompt = demoPrompt({ text: 'a red circle', seed: 1n }, `picture-${++pictures}`)
  const changed = (id: string, inputs: { readonly [name: string]: JsonValue }) => ({
    [id]: { ...prompt[id]!, inputs: { ...prompt[id]!.inputs, ...inputs } },
  })
  return {
    ...prompt,
    ...changed('size', { width: side, height: side }),
    ...changed('sampler', { steps }),
  }
}

let colours = 0

/** A picture of one colour that nobody has made yet, `side` pixels wide and high, and a small one of it. */
export function bigPicture(side: number): { readonly prompt: Prompt; readonly pixels: string } {
  const colour = ++colours
  const big = { width: side, height: side, batch_size: 1, color: colour }
  const small = { image: ['big', 0], upscale_method: 'area', width: 8, height: 8, crop: 'disabled' }
  const save = { images: ['small', 0], filename_prefix: `colour-${colour}` }
  const prompt = {
    big: { class_type: 'EmptyImage', inputs: big },
    small: { class_type: 'ImageScale', inputs: small },
    save: { class_type: 'SaveImage', inputs: save },
  }
  return { prompt, pixels: `0000${colour.toString(16).padStart(2, '0')}`.repeat(64) }
}

/** All of a picture on one machine. */
export function wholeOn(peer: string): Partial<PlanOptions> {
  const affinity = { CLIPTextEncode: peer, KSampler: peer, VAEDecode: peer }
  return { affinity, fallback: 'none' }
}

/** What reads and decodes is anna; who samples is to be said. */
export function sampledBy(
  peer: string,
  fallback: PlanOptions['fallback'] = 'auto',
): Partial<PlanOptions> {
  return { affinity: { CLIPTextEncode: 'anna', KSampler: peer, VAEDecode: 'anna' }, fallback }
}

/** Every attempt at the stage that a node is part of, in any plan. */
export function attemptsAt(nodeId: string, state: JobState): StageAttempt[] {
  const stageIds = plansOf(state).flatMap(({ plan }) =>
    plan.stages.filter(({ nodes }) => nodes.some(({ id }) => id === nodeId)).map(({ id }) => id),
  )
  return state.attempts.filter(({ stageId }) => stageIds.includes(stageId))
}

/** Whether a sampler has made some of its steps. */
export const samples = ({ nodes }: JobState): boolean =>
  nodes.some(
    ({ nodeId, status, value }) => nodeId === 'sampler' && status === 'running' && value > 0,
  )
