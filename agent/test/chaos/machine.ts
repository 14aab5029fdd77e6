/** A machine of the chaos: one built agent after the other over the same folders, and what befalls it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonObject, parseJson } from '@comfymesh/protocol/json'
import sharp from 'sharp'
import { type ModelPart, writeModelParts } from '../../src/cli/demo/model-parts.ts'
import { type BuiltAgent, oneThread, startBuiltAgent } from '../built-agent.ts'
import { descendants } from '../processes.ts'
import { type Place, UPLOADED_PICTURE } from './prompts.ts'

/** What values may take on its disk. */
export const BLOB_BUDGET_BYTES = 64 * 2 ** 20

/** More than any fault that lasts. */
const ANSWER_WITHIN_MS = 30_000

export interface MachineOptions {
  readonly name: string
  readonly folder: string
  /** Networks of the shipped model that this machine has as files of their own. */
  readonly parts: readonly ModelPart[]
  /** Stays the same over restarts; absent for a machine that is alone. */
  readonly meshPort?: number
}

export interface Machine extends Place {
  readonly blobsFolder: string
  /** The process that serves; undefined while there is none. */
  readonly agent: BuiltAgent | undefined
  /** Every process that was seen to be one of its own. */
  readonly seenPids: ReadonlySet<number>
  /** Ends that nobody asked for, in the words of the agent. */
  readonly crashes: readonly string[]
  start(): Promise<void>
  kill(): Promise<void>
  /** As Ctrl-C does. @throws Error when it does not end well. */
  stop(): Promise<void>
  /** Its runner, where it has one. */
  runners(): Promise<number[]>
  /** @throws Error where it does not answer, or not in time. */
  ask(method: string, path: string, body?: string): Promise<{ status: number; body: JsonObject }>
  text(path: string): Promise<string>
  /** Notices where the process ended by itself, and starts another. */
  attend(): Promise<void>
  writeLog(folder: string): string
}

export async function createMachine(options: MachineOptions): Promise<Machine> {
  const { name, folder, parts, meshPort } = options
  const models = join(folder, 'models')
  const dataDir = join(folder, 'data')
  mkdirSync(models, { recursive: true })
  await writeModelParts(models, parts)
  await writeUpload(join(dataDir, 'input'))
  const flags = {
    name,
    models,
    'blob-budget': `${BLOB_BUDGET_BYTES / 2 ** 20}MB`,
    discovery: 'off',
    mesh: meshPort === undefined ? 'off' : 'on',
    'mesh-port': `${meshPort ?? 0}`,
  }
  const argv = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])
  let agent: BuiltAgent | undefined
  let log = ''
  const seenPids = new Set<number>()
  const crashes: string[] = []

  const gone = () => {
    if (agent !== undefined) log += `${agent.stderr()}\n`
    agent = undefined
  }
  const machine: Machine = {
    name,
    parts,
    blobsFolder: join(dataDir, 'blobs'),
    seenPids,
    crashes,
    get agent() {
      return agent
    },
    async start() {
      agent = await startBuiltAgent(dataDir, [...oneThread, ...argv])
      seenPids.add(agent.pid)
    },
    async kill() {
      const killed = agent
      await machine.runners()
      await killed?.kill()
      gone()
    },
    async stop() {
      const stopped = agent
      await machine.runners()
      const ended = await stopped?.stop()
      gone()
      if (ended !== undefined && ended.code !== 0) {
        throw new Error(`${name} stopped with ${ended.code ?? ended.signal}`)
      }
    },
    async runners() {
      const pids = agent === undefined ? [] : await descendants(agent.pid)
      for (const pid of pids) seenPids.add(pid)
      return pids
    },
    async ask(method, path, body) {
      const response = await answer(agent, path, { method, ...(body !== undefined && { body }) })
      const text = await response.text()
      return { status: response.status, body: parseJson(text) as JsonObject }
    },
    async text(path) {
      return (await answer(agent, path, {})).text()
    },
    async attend() {
      if (agent === undefined || isThere(agent.pid)) return
      crashes.push(agent.stderr().slice(-2000))
      gone()
      await machine.start()
    },
    writeLog(logFolder) {
      const path = join(logFolder, `${name}.log`)
      writeFileSync(path, log + (agent?.stderr() ?? ''))
      return path
    },
  }
  return machine
}

async function answer(agent: BuiltAgent | undefined, path: string, init: RequestInit) {
  if (agent === undefined) throw new Error('The agent is down')
  return fetch(agent.url + path, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The same bytes on each machine, as if its user had uploaded them. */
async function writeUpload(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const pixels = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * 7) % 256))
  const raw = { width: 64, height: 64, channels: 3 } as const
  await sharp(pixels, { raw }).png().toFile(join(folder, UPLOADED_PICTURE))
}
