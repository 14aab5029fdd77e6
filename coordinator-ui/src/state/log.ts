/** The log of a machine as this page follows it. */
import { type LogLevel, type LogLine, logLevels } from '@comfymesh/protocol/log-lines'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { readLog } from '../api/agent.ts'

const REFRESH_MS = 2000
/** What a page holds; a browser shows it without effort. */
const MAX_LINES = 2000

/** Every two seconds what came since. @param peerId '' for this machine. */
export function useLog(peerId: string, isFollowing: boolean) {
  const queries = useQueryClient()
  const queryKey = ['log', peerId]
  return useQuery({
    queryKey,
    queryFn: async ({ signal }) => {
      const known = queries.getQueryData<LogLine[]>(queryKey) ?? []
      const came = await readLog(peerId, known.at(-1)?.id, signal)
      return came.length === 0 ? known : [...known, ...came].slice(-MAX_LINES)
    },
    refetchInterval: isFollowing ? REFRESH_MS : false,
    refetchOnWindowFocus: isFollowing,
  })
}

export interface LogFilter {
  readonly level: LogLevel
  readonly search: string
}

export function filterLines(lines: readonly LogLine[], { level, search }: LogFilter): LogLine[] {
  const least = logLevels.indexOf(level)
  const wanted = search.trim().toLowerCase()
  return lines.filter(
    (line) => logLevels.indexOf(line.level) >= least && line.message.toLowerCase().includes(wanted),
  )
}
