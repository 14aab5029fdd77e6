/** `comfymesh start`: runs the agent until it is told to stop. */
import { availableParallelism, totalmem } from 'node:os'
import type { AgentSettings } from '../agent.ts'
import { version } from '../base/version.ts'
import { FRONTEND_PATH } from '../gateway/frontend-folder.ts'
import { ModelFolders, type ModelKind } from '../models/folders.ts'
import { type Arguments, settingFlags, settingOptions, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { byteSize } from './duration.ts'
import { loadSettings, offerSettingsFile } from './settings.ts'
import { terminalAt } from './terminal.ts'

export const startCommand: Command = {
  name: 'start',
  summary: 'Run the agent of this machine',
  usage: 'start [options]',
  options: [],
  settings: settingOptions,
  examples: [
    { command: 'comfymesh start', what: 'run the agent with its own folders' },
    {
      command: 'comfymesh start --models ~/ComfyUI',
      what: "use ComfyUI's models, input and output",
    },
    {
      command: 'comfymesh start --models D:\\models --vram 8GB --name studio-pc',
      what: 'a models folder, at most 8 GB of the card, a name',
    },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  if (given.positionals.length > 0) {
    throw new UsageError(`start takes no '${given.positionals[0]}'.`)
  }
  const settings = loadSettings({ flags: settingFlags(given) })
  offerSettingsFile(settings.dataDir)
  // Heard from the first moment on: a signal during the start stops what has started.
  const told = toldToStop()
  // Loaded on demand: the help needs none of it.
  const { startAgent } = await import('../agent.ts')
  const agent = await startAgent(settings)
  for (const line of greeting(agent.url, settings)) console.log(line)
  await told
  await agent.stop()
  return 0
}

/** Resolves at SIGINT, at SIGTERM, or when a parent process says so or goes away. */
function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    // Once: a second Ctrl-C ends the program at once.
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
    // Windows knows no signals that a process could send; a parent sends this instead.
    process.on('message', (message) => {
      if (message === 'shutdown') resolve()
    })
    process.once('disconnect', () => resolve())
    // Listening to a parent is no reason to stay alive; the agent is.
    process.channel?.unref()
  })
}

export function greeting(url: string, settings: AgentSettings): string[] {
  const { paint } = terminalAt(process.stdout)
  const folders = new ModelFolders(settings.folders)
  return [
    `comfymesh ${version} is running at ${paint('bold', url)}`,
    `  machine   ${settings.name}: ${availableParallelism()} cores, ${byteSize(totalmem())} of memory`,
    `  models    ${modelCounts(folders)}`,
    `  pictures  ${settings.folders.output}`,
    `  data      ${settings.dataDir}`,
    ...(settings.frontend === undefined ? [] : [`  frontend  ${url}${FRONTEND_PATH}/`]),
    ...(isLoopback(settings.host) ? [] : [paint('yellow', openToAll(settings.host))]),
    paint('dim', 'Ctrl-C stops it.'),
  ]
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}

const openToAll = (host: string) =>
  `Warning: it listens on ${host} and asks for no password, so whoever reaches this machine over\n` +
  'the network can run prompts here and see all pictures. --host 127.0.0.1 keeps it to yourself.'

const countedKinds: readonly { kind: ModelKind; one: string; many: string }[] = [
  { kind: 'checkpoints', one: 'checkpoint', many: 'checkpoints' },
  { kind: 'loras', one: 'LoRA', many: 'LoRAs' },
  { kind: 'vae', one: 'VAE', many: 'VAEs' },
  { kind: 'embeddings', one: 'embedding', many: 'embeddings' },
]

function modelCounts(folders: ModelFolders): string {
  return countedKinds
    .map(({ kind, one, many }) => ({ count: folders.list(kind).length, one, many }))
    .filter(({ count }, index) => count > 0 || index === 0)
    .map(({ count, one, many }) => `${count} ${count === 1 ? one : many}`)
    .join(', ')
}
