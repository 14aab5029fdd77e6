/** How far a job is, in one line and one number. Pure. */
import type { JobState } from '@comfymesh/protocol/job'

export interface Progress {
  /** 0 to 1 of the nodes' work, as far as it is known. */
  readonly share: number
  /** What is going on, for people: `Sample, step 7 of 20`. */
  readonly text: string
}

export function progressOf(job: JobState): Progress {
  if (job.status === 'queued') return { share: 0, text: 'Waiting' }
  const total = job.plan?.stages.flatMap(({ nodes }) => nodes).length ?? 0
  const done = job.nodes.reduce((sum, { status, value, max }) => {
    return sum + (status === 'finished' ? 1 : value / Math.max(1, max))
  }, 0)
  const share = total === 0 ? 0 : Math.min(1, done / total)
  const running = job.nodes.find(({ status }) => status === 'running')
  if (running === undefined) return { share, text: waitingText(job) }
  const title = nodeTitle(job, running.nodeId)
  const steps = running.max > 1 ? `, step ${running.value} of ${running.max}` : ''
  return { share, text: title + steps }
}

/** Sent to machines that have not begun it: they may have other work. */
function waitingText({ attempts, plan }: JobState): string {
  const sent = attempts.filter(({ status }) => status === 'sent')
  const names = (plan?.placements ?? [])
    .filter(({ peerId }) => sent.some((attempt) => attempt.peerId === peerId))
    .map(({ peerName }) => peerName)
  if (names.length === 0 || attempts.some(({ status }) => status === 'computing')) return 'Starting'
  return `Waits for ${[...new Set(names)].join(' and ')}`
}

export function nodeTitle({ request }: JobState, nodeId: string): string {
  const node = request.prompt[nodeId]
  return node?._meta?.title || node?.class_type || `Node ${nodeId}`
}
