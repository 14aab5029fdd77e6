/** Where a command finds its agent: the one that runs on this machine, or one of its own. */
import { readAccessToken } from '../store/access-token.ts'
import { readServingRecord, type ServingRecord } from '../store/serving-record.ts'
import { type AgentAddress, agentHealth, type Health, localAgent } from './agent-client.ts'
import type { LoadedSettings } from './settings.ts'

export interface AgentAccess extends AgentAddress {
  /** True when it was started for this command and ends with it. */
  readonly isOwn: boolean
}

/** An agent that answers, or why there is none. */
export type Sought =
  | { readonly agent: AgentAddress; readonly health: Health }
  | { readonly agent: undefined; readonly url: string; readonly why: string }

/**
 * The agent that a command means: at the host and port that its user names; otherwise the one that
 * has the data folder, wherever it serves; and where no data folder is named either, whatever agent
 * has the usual address.
 */
export async function seekAgent(settings: LoadedSettings): Promise<Sought> {
  const { named, dataDir } = settings
  const usual = localAgent(settings)
  if (named.has('host') || named.has('port')) return agentAt(usual)
  const record = readServingRecord(dataDir)
  const owner = record && (await ownerAt(record, settings))
  if (owner?.agent !== undefined) return owner
  if (named.has('dataDir')) {
    const why = `No agent is running with the data folder ${dataDir}.`
    return owner ?? { agent: undefined, url: usual.url, why }
  }
  const found = await agentAt(usual)
  return found.agent === undefined ? (owner ?? found) : found
}

async function agentAt(agent: AgentAddress): Promise<Sought> {
  const health = await agentHealth(agent.url)
  if (health !== undefined) return { agent, health }
  return { agent: undefined, url: agent.url, why: `No agent is running at ${agent.url}.` }
}

/** The agent of the data folder, by the record that it left there. */
async function ownerAt(record: ServingRecord, settings: LoadedSettings): Promise<Sought> {
  const { url, instance } = record
  const { dataDir } = settings
  const health = await agentHealth(url)
  if (health?.instance === instance) {
    const token = settings.token || readAccessToken(dataDir)
    return { agent: { url, ...(token !== undefined && { token }) }, health }
  }
  const why =
    health === undefined
      ? `The agent of the data folder ${dataDir} does not answer at ${url} any more: it was killed, or it hangs.`
      : `The agent of the data folder ${dataDir} was killed, and another one is running at ${url} now.`
  return { agent: undefined, url, why }
}

/** The agent that is meant, if it runs. */
export async function runningAgent(settings: LoadedSettings): Promise<AgentAddress | undefined> {
  return (await seekAgent(settings)).agent
}

/** The agent that is meant. @throws Error saying that it does not run, and how to start it. */
export async function neededAgent(settings: LoadedSettings): Promise<AgentAddress> {
  const sought = await seekAgent(settings)
  if (sought.agent !== undefined) return sought.agent
  throw new Error(`${sought.why} ${howToFindOne(settings)}`)
}

/** What to do where the agent that is meant does not run. */
export function howToFindOne({ named, dataDir }: LoadedSettings): string {
  if (named.has('dataDir')) return `Start it with \`comfymesh start --data-dir ${dataDir}\`.`
  return 'Start it with `comfymesh start`, or name another with --data-dir, or with --host and --port.'
}

/**
 * Runs `use` with the agent that these settings mean, or with one that is started for it
 * on a free port and stopped again.
 */
export async function withAgent<T>(
  settings: LoadedSettings,
  use: (agent: AgentAccess) => Promise<T>,
): Promise<T> {
  const agent = await runningAgent(settings)
  return agent === undefined ? withOwnAgent(settings, use) : use({ ...agent, isOwn: false })
}

async function withOwnAgent<T>(
  settings: LoadedSettings,
  use: (agent: AgentAccess) => Promise<T>,
): Promise<T> {
  // Loaded on demand: a command that finds an agent running needs none of it.
  const { startAgent } = await import('../agent.ts')
  // It ends soon, and is no machine that others should count on.
  const { mesh: _, ...alone } = settings
  const agent = await startAgent({
    ...alone,
    host: '127.0.0.1',
    port: 0,
    logLevel: alone.logLevel ?? 'error',
  })
  try {
    return await use({ url: agent.url, isOwn: true })
  } finally {
    await agent.stop()
  }
}
