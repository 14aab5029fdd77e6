/** The stages of a job: what was sent where, how each attempt ended, and what was accepted. Pure. */
import type { JobEventOf, JobState } from './job.ts'
import type { Plan } from './plan.ts'

/** The accepted result of a stage: there is one at most. */
export type StageState = Omit<JobEventOf<'stage-finished'>, 'type' | 'jobId' | 'atMs'>

/** One attempt at a stage, for a timeline: several of a stage where a peer failed it. */
export interface StageAttempt {
  readonly attemptId: string
  readonly stageId: string
  readonly peerId: string
  /** `given-up`: nobody waits for it any more, and a late result is discarded. */
  readonly status: 'sent' | 'computing' | 'finished' | 'failed' | 'given-up'
  readonly sentAtMs: number
  readonly beganAtMs?: number
  readonly endedAtMs?: number
  readonly error?: JobEventOf<'stage-failed'>['error']
  /** Of a failed one. */
  readonly blamedPeerId?: string
}

type StageEvent = JobEventOf<'stage-started' | 'stage-began' | 'stage-finished' | 'stage-failed'>

/** What an event of a stage changes. Told twice it changes nothing: streams of events may repeat some. */
export function stageChanges(state: JobState, event: StageEvent): Partial<JobState> {
  const { attempts } = state
  const { stageId, attemptId, atMs } = event
  const before = attempts.find((attempt) => attempt.attemptId === attemptId)
  const changed = (change: Partial<StageAttempt>) =>
    attempts.map((attempt) => (attempt === before ? { ...attempt, ...change } : attempt))
  switch (event.type) {
    case 'stage-started': {
      if (before !== undefined) return {}
      const { peerId } = event
      const others = giveUp(attempts, atMs, (attempt) => attempt.stageId === stageId)
      const attempt = { attemptId, stageId, peerId, status: 'sent', sentAtMs: atMs } as const
      return { attempts: [...others, attempt] }
    }
    case 'stage-began':
      if (before?.status !== 'sent') return {}
      return { attempts: changed({ status: 'computing', beganAtMs: atMs }) }
    case 'stage-finished': {
      if (state.stages.some((stage) => stage.stageId === stageId)) return {}
      const { type: _type, jobId: _jobId, atMs: _atMs, ...stage } = event
      return {
        attempts: changed({ status: 'finished', endedAtMs: atMs }),
        stages: [...state.stages, stage],
        transferBytes: state.transferBytes + event.transferBytes,
      }
    }
    case 'stage-failed': {
      if (before === undefined || !isOpen(before)) return {}
      const { error, blamedPeerId } = event
      return { attempts: changed({ status: 'failed', endedAtMs: atMs, error, blamedPeerId }) }
    }
  }
}

/** Attempts that have not ended, and nobody waits for any more. */
export function giveUp(
  attempts: JobState['attempts'],
  endedAtMs: number,
  isConcerned: (attempt: StageAttempt) => boolean = () => true,
): JobState['attempts'] {
  return attempts.map((attempt) =>
    isOpen(attempt) && isConcerned(attempt)
      ? { ...attempt, status: 'given-up', endedAtMs }
      : attempt,
  )
}

/** Whether an attempt has neither ended nor been given up. */
export function isOpen({ status }: StageAttempt): boolean {
  return status === 'sent' || status === 'computing'
}

/** Whether an attempt is none of a plan's. */
export const isNotIn =
  ({ placements }: Plan) =>
  ({ stageId, peerId }: StageAttempt): boolean =>
    !placements.some((one) => one.stageId === stageId && one.peerId === peerId)

export const isNotPlanned =
  ({ stages }: Plan) =>
  ({ stageId }: StageState): boolean =>
    !stages.some(({ id }) => id === stageId)

/** Whether what a node did still counts under a new plan: it is not to run again. */
export function isDone(
  { stages }: Plan,
  attempts: JobState['attempts'],
): (node: JobState['nodes'][number]) => boolean {
  const open = new Set(attempts.filter(isOpen).map(({ stageId }) => stageId))
  const nodesOf = (isAsked: (stageId: string) => boolean) =>
    new Set(stages.flatMap(({ id, nodes }) => (isAsked(id) ? nodes.map((node) => node.id) : [])))
  const going = nodesOf((id) => open.has(id))
  const coming = nodesOf((id) => !open.has(id))
  return ({ nodeId, status, cached }) =>
    cached || going.has(nodeId) || (status === 'finished' && !coming.has(nodeId))
}
