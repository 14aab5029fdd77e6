/** `comfymesh start`: runs the agent until it is told to stop. */
import { availableParallelism, networkInterfaces, totalmem } from 'node:os'
import type { Agent, AgentSettings } from '../agent.ts'
import { byteSize } from '../base/duration.ts'
import { version } from '../base/version.ts'
import { FRONTEND_PATH } from '../gateway/frontend-folder.ts'
import { ModelFolders, type ModelKind } from '../models/folders.ts'
import { leaveServingRecord } from '../store/serving-record.ts'
import { type Arguments, settingFlags, settingOptions, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { loadSettings, offerSettingsFile } from './settings.ts'
import { tellDoubts } from './start-doubts.ts'
import { terminalAt } from './terminal.ts'
import { type Environment, unknownVariables } from './unknown-variables.ts'

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
  const forget = leaveRecord(settings.dataDir, agent)
  for (const line of greeting(agent, settings, process.env)) console.log(line)
  const stopping = new AbortController()
  void tellDoubts(settings, { signal: stopping.signal })
  await told
  stopping.abort()
  // While the data folder is still ours: the next agent leaves its own.
  forget()
  await agent.stop()
  return 0
}

/** Commands find the agent by it. One that cannot write it, on a full disk, runs all the same. */
function leaveRecord(dataDir: string, { url, instance }: Agent): () => void {
  try {
    return leaveServingRecord(dataDir, { url, instance })
  } catch (error) {
    console.error((error as Error).message)
    return () => {}
  }
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

export function greeting(
  { url, token }: Pick<Agent, 'url' | 'token'>,
  settings: AgentSettings,
  environment: Environment,
): string[] {
  const { paint } = terminalAt(process.stdout)
  const folders = new ModelFolders(settings.folders)
  return [
    `comfymesh ${version} is running at ${paint('bold', url)}`,
    `  machine   ${settings.name}: ${availableParallelism()} cores, ${byteSize(totalmem())} of memory`,
    `  models    ${modelCounts(folders)}`,
    `  pictures  ${settings.folders.output}`,
    `  data      ${settings.dataDir}`,
    ...(settings.frontend === undefined ? [] : [`  frontend  ${url}${FRONTEND_PATH}/`]),
    ...(token === undefined ? [] : links(url, token, settings)),
    ...(settings.token === false ? [paint('yellow', openToAll(settings.host))] : []),
    ...inVain(environment).map((line) => paint('yellow', line)),
    paint('dim', 'Ctrl-C stops it.'),
  ]
}

/** What looks like a setting of ours and is none: a line each. */
function inVain(environment: Environment): string[] {
  return unknownVariables(environment).map(({ name, meant }) => {
    const advice = meant === undefined ? '' : `; did you mean ${meant}?`
    return `Warning: the variable ${name} is no setting and has no effect${advice}`
  })
}

/** The pages to open; whoever has one of these links can use the agent. */
function links(url: string, token: string, { host, allowedHosts = [] }: AgentSettings): string[] {
  const { port } = new URL(url)
  const elsewhere = ['0.0.0.0', '::'].includes(host) ? networkAddresses() : []
  const urls = [url, ...elsewhere.map((address) => `http://${address}:${port}`)]
  const [first, ...others] = urls.map((base) => `${base}/?token=${token}`)
  return [
    `  open      ${first}`,
    ...others.map((link) => `            ${link}`),
    ...allowedHosts.map((name) => `            at ${name}, with /?token=${token}`),
  ]
}

function networkAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address)
}

const openToAll = (host: string) =>
  `Warning: it listens on ${host} and asks for no token, so whoever reaches it can run prompts here\n` +
  'and see all pictures. Start it without --token open-to-everybody to change that.'

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
