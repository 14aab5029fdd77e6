/**
 * The machines of the demo: agents in processes of their own on this computer, each with its own
 * identity, folders and models, and no port that anybody else uses.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentAddress } from '../agent-client.ts'
import { type ModelPart, writeModelParts } from './model-parts.ts'

export interface Machine {
  readonly name: string
  readonly agent: AgentAddress
  /** As a power cut does. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface MachineOptions {
  readonly name: string
  readonly parts: readonly ModelPart[]
  /** Where its folders are made. */
  readonly root: string
  readonly outputDir: string
  readonly threads: number
  /** Told as soon as there is a process to end, whether it will ever serve or not. */
  readonly onSpawned: (machine: Pick<Machine, 'stop'>) => void
}

/** @throws Error with what the agent said when it ends instead of serving. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { name, root, outputDir, threads } = options
  const models = join(root, name, 'models')
  mkdirSync(models, { recursive: true })
  await writeModelParts(models, options.parts)
  const flags = {
    name,
    models,
    port: '0',
    'mesh-port': '0',
    'data-dir': join(root, name, 'data'),
    'output-dir': outputDir,
    threads: String(threads),
    'log-level': 'warn',
  }
  const child = spawnAgent(Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]))
  const end = async (how: () => void) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    how()
    await exited
  }
  const stop = () =>
    end(() => {
      if (process.platform === 'win32') child.send('shutdown')
      else child.kill('SIGTERM')
    })
  options.onSpawned({ stop })
  return {
    name,
    agent: { url: await urlOf(child) },
    kill: () => end(() => child.kill('SIGKILL')),
    stop,
  }
}

/** The same program as this one, whether built or run from its sources. */
function spawnAgent(flags: readonly string[]): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const program = fileURLToPath(new URL(`../../main.${extension}`, import.meta.url))
  return spawn(process.execPath, [...process.execArgv, program, 'start', ...flags], {
    env: withoutSettings(process.env),
    // By the channel the child notices when this process goes away, and ends too.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    windowsHide: true,
  })
}

/** What the user has set for his own agent is not meant for these. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('COMFYMESH_')),
  )
}

async function urlOf(child: ChildProcess): Promise<string> {
  let said = ''
  return new Promise((resolve, reject) => {
    const listen = (bytes: Buffer) => {
      said += bytes
      const url = /running at (\S+)/.exec(said)?.[1]
      if (url !== undefined) resolve(url)
    }
    child.stdout!.on('data', listen)
    child.stderr!.on('data', listen)
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`An agent of the demo did not start: ${said}`)))
  })
}
