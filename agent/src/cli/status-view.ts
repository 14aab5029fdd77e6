/** The state of an agent on a terminal. Pure. */
import { byteSize, counted, duration } from '../base/duration.ts'
import { wrap } from './help.ts'
import type { Terminal } from './terminal.ts'

/** What `status --json` prints, and the text tells. */
export interface AgentStatus {
  readonly agent: {
    readonly name: string
    readonly version: string
    readonly url: string
    readonly uptimeMs: number
  }
  readonly queue: { readonly summary: string; readonly paused: boolean }
  readonly running: readonly RunningJob[]
  /** What users of paused jobs are asked. */
  readonly questions: readonly { readonly id: string; readonly question: string }[]
  readonly checkpoints: readonly {
    readonly name: string
    readonly sizeBytes: number
    readonly family?: string
    readonly problem?: string
    /** Whether it is in memory. */
    readonly resident?: boolean
  }[]
  /** What computed the last picture: 'cpu', 'cuda', ...; absent before the first. */
  readonly provider?: string
  /** Absent where the agent takes part in none. */
  readonly mesh?: readonly { readonly name: string; readonly state: string }[]
  readonly disks: readonly {
    readonly use: string
    readonly folder: string
    readonly freeBytes: number | null
  }[]
}

interface RunningJob {
  readonly id: string
  readonly startedAtMs: number | null
  readonly nodes: readonly {
    readonly nodeId: string
    readonly title: string
    readonly status: 'running' | 'finished'
    readonly value: number
    readonly max: number
  }[]
  readonly nodeCount: number
}

const LABEL_WIDTH = 10
const WIDEST = 100
/** Of a running node, at most; a quarter of a narrow terminal. */
const BAR_WIDTH = 24

/** Under this a few pictures may not fit. */
const LITTLE_BYTES = 2 * 2 ** 30

export function statusLines(status: AgentStatus, terminal: Terminal): string[] {
  const { agent, queue } = status
  const { paint } = terminal
  const row = rowsFor(terminal)
  const heading = `${paint('bold', agent.name)}  comfymesh ${agent.version}, running for ${duration(agent.uptimeMs)}`
  return [
    heading,
    ...row('Address', agent.url),
    ...row('Queue', queue.summary, queue.paused ? 'yellow' : undefined),
    ...status.running.flatMap((job) => runningLines(job, terminal)),
    ...status.questions.flatMap((one) => row('Asks', questionText(one), 'yellow')),
    ...row('Models', modelsText(status.checkpoints)),
    ...(status.provider === undefined ? [] : row('Computes', `on ${status.provider} (last job)`)),
    ...(status.mesh === undefined ? [] : row('Mesh', meshText(status.mesh))),
    ...disksOf(status.disks).flatMap(({ text, isLow }) =>
      row('Disk', text, isLow ? 'red' : undefined),
    ),
  ]
}

type Style = Parameters<Terminal['paint']>[0]

/** A label, and beside it as many lines as the text takes. */
function rowsFor({ paint, columns }: Terminal) {
  const width = Math.max(30, Math.min(columns, WIDEST) - LABEL_WIDTH - 2)
  return (label: string, text: string, style?: Style): string[] =>
    wrap(text, width).map((line, index) => {
      const head = paint('dim', (index === 0 ? label : '').padEnd(LABEL_WIDTH))
      return `  ${head}${style === undefined ? line : paint(style, line)}`
    })
}

/** `KSampler ━━━━━━━━━━━━━━────────── 12/20, 3 of 7 nodes done`, within the terminal's width. */
function runningLines({ nodes, nodeCount }: RunningJob, terminal: Terminal): string[] {
  const { paint, columns } = terminal
  const done = nodes.filter(({ status }) => status === 'finished').length
  const active = nodes.findLast(({ status }) => status === 'running')
  const label = `  ${paint('dim', 'Running'.padEnd(LABEL_WIDTH))}`
  const rest = `${done} of ${nodeCount} nodes done`
  if (active === undefined) return [label + rest]
  const width = Math.min(BAR_WIDTH, Math.floor(columns / 4))
  const filled = Math.round((width * Math.min(active.value, active.max)) / (active.max || 1))
  const bar = paint('cyan', '━'.repeat(filled)) + paint('dim', '─'.repeat(width - filled))
  const count = active.max > 1 ? ` ${active.value}/${active.max}` : ''
  const room = columns - 1 - 2 - LABEL_WIDTH - 1 - width - count.length - 2 - rest.length
  return [`${label}${active.title.slice(0, Math.max(4, room))} ${bar}${count}, ${rest}`]
}

function questionText({ id, question }: AgentStatus['questions'][number]): string {
  return `${question} \`comfymesh answer ${id.slice(0, 8)} go\``
}

const MOST_NAMED = 3

function modelsText(checkpoints: AgentStatus['checkpoints']): string {
  const usable = checkpoints.filter(({ problem }) => problem === undefined)
  const unusable = checkpoints.length - usable.length
  const named = usable.slice(0, MOST_NAMED).map(({ name, sizeBytes, resident }) => {
    return `${name} (${byteSize(sizeBytes)}${resident ? ', in memory' : ''})`
  })
  const more = usable.length > MOST_NAMED ? [`${usable.length - MOST_NAMED} more`] : []
  const count = counted(usable.length, 'checkpoint')
  const others = unusable === 0 ? '' : `; ${unusable} cannot be used, see \`comfymesh doctor\``
  return `${count}${named.length > 0 ? `: ${[...named, ...more].join(', ')}` : ''}${others}`
}

function meshText(peers: readonly { readonly name: string; readonly state: string }[]): string {
  if (peers.length <= 1) return 'this machine alone'
  const away = peers.filter(({ state }) => state === 'away').length
  return `${peers.length} machines${away > 0 ? `, ${away} away` : ''}: ${peers.map(({ name }) => name).join(', ')}`
}

/** A line a folder; one for both where they tell the same. */
function disksOf(disks: AgentStatus['disks']): { text: string; isLow: boolean }[] {
  const known = disks.flatMap(({ freeBytes, folder }) =>
    freeBytes === null ? [] : [{ freeBytes, folder }],
  )
  const isOneDisk = new Set(known.map(({ freeBytes }) => freeBytes)).size === 1
  return (isOneDisk ? known.slice(0, 1) : known).map(({ freeBytes, folder }) => ({
    text: `${byteSize(freeBytes)} free at ${folder}`,
    isLow: freeBytes < LITTLE_BYTES,
  }))
}
