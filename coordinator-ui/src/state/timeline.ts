/**
 * When a job was where: a row a machine, a bar an attempt at a stage, in milliseconds from the
 * moment in which the job began. Pure.
 */
import type { JobState } from '@comfymesh/protocol/job'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import type { Plan, StageEstimate } from '@comfymesh/protocol/plan'

export type SegmentKind = 'wait' | 'transfer' | 'load' | 'compute' | 'failed'

export interface Segment {
  readonly kind: SegmentKind
  readonly startMs: number
  readonly endMs: number
}

export interface Bar {
  readonly key: string
  readonly stageId: string
  /** 'planned' of one that has not been sent anywhere. */
  readonly status: StageAttempt['status'] | 'planned'
  readonly segments: readonly Segment[]
}

export interface Timeline {
  readonly lengthMs: number
  readonly rows: readonly { readonly peerId: string; readonly bars: readonly Bar[] }[]
}

/** What happened so far, or of a job of which nothing was sent yet, what the plan expects. */
export function timelineOf(job: JobState, nowMs: number): Timeline {
  const plan = job.pause?.plan ?? job.plan
  if (job.attempts.length > 0) return ofAttempts(job, nowMs)
  return plan === undefined ? { lengthMs: 0, rows: [] } : ofPlan(plan)
}

export function ofPlan({ placements }: Plan): Timeline {
  const bars = placements.map(({ stageId, peerId, estimate }) => ({
    peerId,
    bar: { key: stageId, stageId, status: 'planned', segments: expected(estimate) } as const,
  }))
  return {
    lengthMs: Math.max(0, ...placements.map((one) => one.estimate.finishMs)),
    rows: byPeer(bars),
  }
}

/** Backwards from its end: what comes before computing overlaps where inputs come meanwhile. */
function expected({ waitMs, transferMs, loadMs, computeMs, finishMs }: StageEstimate): Segment[] {
  return endingAt(finishMs, [
    { kind: 'wait', elapsedMs: waitMs },
    { kind: 'transfer', elapsedMs: transferMs },
    { kind: 'load', elapsedMs: loadMs },
    { kind: 'compute', elapsedMs: computeMs },
  ])
}

function ofAttempts(job: JobState, nowMs: number): Timeline {
  const { attempts, startedAtMs } = job
  const originMs = Math.min(startedAtMs ?? Number.POSITIVE_INFINITY, attempts[0]!.sentAtMs)
  const endMs = job.finishedAtMs ?? nowMs
  const bars = attempts.map((attempt) => {
    const { attemptId: key, stageId, status, peerId } = attempt
    const segments = happened(job, attempt, endMs).map((segment) => ({
      ...segment,
      startMs: segment.startMs - originMs,
      endMs: segment.endMs - originMs,
    }))
    return { peerId, bar: { key, stageId, status, segments } }
  })
  return { lengthMs: Math.max(1, endMs - originMs), rows: byPeer(bars) }
}

function happened(job: JobState, attempt: StageAttempt, nowMs: number): Segment[] {
  const { stageId, status, sentAtMs, beganAtMs, endedAtMs = nowMs } = attempt
  if (status === 'failed' || status === 'given-up') {
    return [{ kind: 'failed', startMs: sentAtMs, endMs: endedAtMs }]
  }
  const stage = job.stages.find((one) => one.stageId === stageId)
  if (status === 'finished' && stage !== undefined) {
    const parts = endingAt(endedAtMs, [
      { kind: 'wait', elapsedMs: stage.waitMs },
      { kind: 'transfer', elapsedMs: stage.transferMs },
      { kind: 'compute', elapsedMs: stage.computeMs },
    ])
    return parts.map((part) => ({ ...part, startMs: Math.max(sentAtMs, part.startMs) }))
  }
  if (beganAtMs === undefined) return [{ kind: 'wait', startMs: sentAtMs, endMs: endedAtMs }]
  return [
    { kind: 'wait', startMs: sentAtMs, endMs: beganAtMs },
    { kind: 'compute', startMs: beganAtMs, endMs: endedAtMs },
  ]
}

interface Part {
  readonly kind: SegmentKind
  readonly elapsedMs: number
}

/** One after the other, the last of them ending then; what takes no time is left out. */
function endingAt(endMs: number, parts: readonly Part[]): Segment[] {
  let end = endMs
  const segments = parts.toReversed().map(({ kind, elapsedMs }): Segment => {
    const segment = { kind, startMs: end - elapsedMs, endMs: end }
    end = segment.startMs
    return segment
  })
  return segments.reverse().filter(({ startMs, endMs }) => endMs > startMs)
}

function byPeer(bars: readonly { readonly peerId: string; readonly bar: Bar }[]): Timeline['rows'] {
  const rows = new Map<string, Bar[]>()
  for (const { peerId, bar } of bars) rows.set(peerId, [...(rows.get(peerId) ?? []), bar])
  return [...rows].map(([peerId, own]) => ({ peerId, bars: own }))
}

/** Round numbers for the axis, about five of them. */
export function ticksOf(lengthMs: number): number[] {
  const rough = lengthMs / 5
  const scale = 10 ** Math.floor(Math.log10(Math.max(1, rough)))
  const step = [1, 2, 5, 10].map((factor) => factor * scale).find((one) => one >= rough) ?? scale
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, index) => index * step)
}
