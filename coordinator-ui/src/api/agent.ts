/** What the agent that serves this page tells of itself, and the logs of all machines. */
import type { AgentState, Examination } from '@comfymesh/protocol/agent-state'
import type { LogLine } from '@comfymesh/protocol/log-lines'
import { get } from './http.ts'

export const readAgent = (signal?: AbortSignal) => get<AgentState>('v1/agent', signal)
export const readToken = () => get<{ readonly token: string }>('v1/agent/token')
export const examine = (signal?: AbortSignal) => get<Examination>('v1/doctor', signal)

/** @param after the id of the last line that is known. */
export async function readLog(
  peerId: string,
  after: number | undefined,
  signal?: AbortSignal,
): Promise<LogLine[]> {
  const query = new URLSearchParams(peerId === '' ? {} : { peer: peerId })
  if (after !== undefined) query.set('after', String(after))
  return (await get<{ lines: LogLine[] }>(`v1/logs?${query}`, signal)).lines
}
