/** What happened to a job, event by event, in words. Pure. */
import type { JobEvent, JobState } from '@comfymesh/protocol/job'
import { byteSize } from './byte-size.ts'
import { preciseDuration } from './duration.ts'
import { failedWhere, findStage, stageTitle } from './plan-words.ts'
import { nodeTitle } from './progress.ts'

export interface LogEntry {
  readonly key: string
  readonly atMs: number
  readonly text: string
  readonly isBad: boolean
}

/** @param peerName how a machine is called. */
export function jobLog(
  job: JobState,
  events: readonly JobEvent[],
  peerName: (peerId: string) => string,
): LogEntry[] {
  return events.flatMap((event, index) => {
    const text = wordsOf(job, event, peerName)
    const isBad = event.type === 'stage-failed' || event.type === 'failed'
    return text === undefined
      ? []
      : [{ key: `${index} ${event.type}`, atMs: event.atMs, text, isBad }]
  })
}

function wordsOf(
  job: JobState,
  event: JobEvent,
  peerName: (peerId: string) => string,
): string | undefined {
  const stage = (id: string) => {
    const planned = findStage(job, id)
    return planned === undefined ? 'A stage' : stageTitle(job, planned)
  }
  switch (event.type) {
    case 'accepted':
      return 'Accepted into the queue'
    case 'reordered':
      return 'Moved in the queue'
    case 'started':
      return 'Began'
    case 'planned':
      return `Planned: ${event.plan.reason}`
    case 'paused':
      return `Paused: ${event.question}`
    case 'answered':
      return answerWords(event.answer, peerName)
    case 'nodes-cached': {
      const count = event.nodeIds.length
      if (count === 0) return undefined
      const warnings = Object.values(event.warnings ?? {}).flat()
      return `Known already: ${names(job, event.nodeIds)}${warningWords(warnings)}`
    }
    case 'stage-started':
      return `Sent to ${peerName(event.peerId)}: ${stage(event.stageId)}`
    case 'stage-began':
      return `Computes: ${stage(event.stageId)}`
    case 'stage-finished': {
      const moved = event.transferBytes > 0 ? `, ${byteSize(event.transferBytes)} moved` : ''
      const took = preciseDuration(event.elapsedMs)
      return `${peerName(event.peerId)} finished ${stage(event.stageId)} in ${took}${moved}`
    }
    case 'stage-failed':
      return `Failed ${failedWhere(event, peerName)}: ${event.error.message}`
    case 'node-finished': {
      const took = event.cached ? 'known already' : preciseDuration(event.elapsedMs)
      return `${nodeTitle(job, event.nodeId)}: ${took}${warningWords(event.warnings)}`
    }
    case 'requeued':
      return 'The agent stopped; the job waits again and goes on where it was'
    case 'completed':
      return 'Completed'
    case 'failed':
      return `Failed: ${event.error.message}`
    case 'interrupted':
      return 'Cancelled'
    default:
      return undefined
  }
}

const warningWords = (warnings: readonly string[] = []): string =>
  warnings.map((warning) => `. Warning: ${warning}`).join('')

function names(job: JobState, nodeIds: readonly string[]): string {
  return [...new Set(nodeIds.map((id) => nodeTitle(job, id)))].join(', ')
}

function answerWords(
  answer: string | { readonly peer: string },
  peerName: (peerId: string) => string,
): string {
  if (answer === 'go') return 'Answered: run it as proposed'
  return typeof answer === 'string'
    ? 'Answered: cancel it'
    : `Answered: run it on ${peerName(answer.peer)}`
}
