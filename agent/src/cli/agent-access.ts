/** Where a command finds its agent: the one that runs on this machine, or one of its own. */
import type { AgentSettings } from '../agent.ts'
import { type AgentAddress, agentHealth, localAgent } from './agent-client.ts'
import { UsageError } from './arguments.ts'

export interface AgentAccess extends AgentAddress {
  /** True when it was started for this command and ends with it. */
  readonly isOwn: boolean
}

/**
 * Runs `use` with the agent that these settings name, or with one that is started for it
 * on a free port and stopped again.
 */
export async function withAgent<T>(
  settings: AgentSettings,
  use: (agent: AgentAccess) => Promise<T>,
): Promise<T> {
  const agent = localAgent(settings)
  const isRunning = settings.port !== 0 && (await agentHealth(agent.url)) !== undefined
  return isRunning ? use({ ...agent, isOwn: false }) : withOwnAgent(settings, use)
}

/** Runs `use` with an agent that is started for it on a free port and stopped again. */
export async function withOwnAgent<T>(
  settings: AgentSettings,
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

/** The agent that these settings name. @throws UsageError when none runs there. */
export async function runningAgent(settings: AgentSettings): Promise<AgentAddress> {
  const agent = localAgent(settings)
  if ((await agentHealth(agent.url)) !== undefined) return agent
  throw new UsageError(
    `No agent answers at ${agent.url}. Start one with \`comfymesh start\`, or name another with --host and --port.`,
  )
}
