/**
 * Carries a job's plan out: each stage starts as soon as those it needs are done, what fails is
 * planned anew without those who failed it, and one result of every stage is accepted.
 */
import { randomUUID } from 'node:crypto'
import type { MeshError } from '@comfymesh/protocol/errors'
import { isOpen } from '@comfymesh/protocol/job-stages'
import type { Placement, Plan, PlannedStage } from '@comfymesh/protocol/plan'
import { createFaults, mayTryElsewhere } from './faults.ts'
import type { JobPlan } from './job-plan.ts'
import { type JobPlanningModules, planLeft } from './job-planning.ts'
import type { KnownResults } from './known-results.ts'
import type { JobChange, LiveJob } from './live-job.ts'
import { inputsOf } from './made-so-far.ts'
import { plainReport } from './plain-report.ts'
import { pngTexts } from './png-texts.ts'
import { returningStages } from './returning-peers.ts'
import {
  type AttemptEnding,
  type AttemptFailure,
  attemptStage,
  type StageAttemptModules,
} from './stage-attempt.ts'
import { announceCached, type CachedNodes } from './stage-recorder.ts'
import { cancelled } from './stage-run.ts'

export interface JobCourseModules extends JobPlanningModules, StageAttemptModules {
  readonly pictures: JobPlanningModules['pictures'] & StageAttemptModules['pictures']
  readonly results: KnownResults
}

/** How often it goes on though this machine could not keep what came of a stage. */
const MAX_OWN_FAILURES = 1

interface Running {
  readonly peerId: string
  readonly controller: AbortController
  readonly ended: Promise<AttemptEnding>
}

type Question = Extract<JobChange, { type: 'paused' }>
type Failed = AttemptEnding & { readonly result: AttemptFailure }

/**
 * @returns what the user is to be asked before it goes on; undefined when all is done.
 * @throws MeshError the true reason why the job cannot complete; `interrupted` when the signal aborts.
 */
export async function carryOut(
  job: LiveJob,
  signal: AbortSignal,
  modules: JobCourseModules,
): Promise<Question | undefined> {
  const course = createCourse(job, signal, modules)
  const giveUp = () => course.giveUp(signal.reason)
  signal.addEventListener('abort', giveUp)
  try {
    const going = await returningStages(job.state, modules, signal)
    let question = signal.aborted ? undefined : await course.plan(going)
    while (question === undefined && !signal.aborted && course.startReady()) {
      const failed = await course.nextEnding()
      if (failed !== undefined && !signal.aborted) question = await course.planAgain(failed)
    }
    if (signal.aborted) throw cancelled()
    return question
  } finally {
    signal.removeEventListener('abort', giveUp)
    giveUp()
    await course.settled()
  }
}

function createCourse(job: LiveJob, signal: AbortSignal, modules: JobCourseModules) {
  const faults = createFaults(job.state.attempts)
  const running = new Map<string, Running>()
  let planned: JobPlan
  let ownFailures = 0

  async function plan(going: ReadonlySet<string>, last?: MeshError): Promise<Question | undefined> {
    const circumstances = { running: going, faults, signal, ...(last !== undefined && { last }) }
    const next = await planLeft(job, circumstances, modules)
    const { question, placements } = next.plan
    if (question !== undefined) return { type: 'paused', question, plan: next.plan }
    planned = next
    modules.results.begin(job.state.request.id, next.signatures.values())
    job.record({ type: 'planned', plan: next.plan })
    for (const [id, { peerId, controller }] of running)
      if (!placements.some((one) => one.stageId === id && one.peerId === peerId)) controller.abort()
    // A single stage announces them together with what its executor knows.
    if (next.plan.stages.length !== 1) announceCached(job, cachedOf(next))
    return undefined
  }

  function start(stage: PlannedStage, placement: Placement): void {
    const { peerId } = placement
    const isSame = (one: { stageId: string; peerId: string }) =>
      one.stageId === stage.id && one.peerId === peerId
    // What runs there since before a restart is joined.
    const open = job.state.attempts.find((attempt) => isOpen(attempt) && isSame(attempt))
    const attemptId = open?.attemptId ?? randomUUID()
    const inputs = inputsOf(stage.id, planned.plan, job.state, faults)
    if (open === undefined)
      job.record({ type: 'stage-started', stageId: stage.id, peerId, attemptId })
    const { graph, order } = planned
    const controller = new AbortController()
    const options = {
      ...{ job, stage, placement, attemptId, inputs, signal: controller.signal },
      ...(planned.plan.stages.length === 1 && { cached: cachedOf(planned) }),
      texts: () => pngTexts(job.state.request, graph, order),
    }
    running.set(stage.id, { peerId, controller, ended: attemptStage(options, modules) })
  }

  function accept({ options, elapsedMs, result }: AttemptEnding): void {
    if ('error' in result) return
    const { stage, placement, attemptId } = options
    const stageId = stage.id
    faults.made(result.outcome.values)
    const finished = { stageId, peerId: placement.peerId, attemptId, elapsedMs, ...result.outcome }
    job.record({ type: 'stage-finished', ...finished })
  }

  return {
    plan,
    /** Starts what can start. @returns false when nothing runs and nothing is left. */
    startReady(): boolean {
      const finished = new Set(job.state.stages.map(({ stageId }) => stageId))
      for (const stage of planned.plan.stages) {
        if (finished.has(stage.id) || running.has(stage.id)) continue
        if (stage.after.every((before) => finished.has(before)))
          start(stage, placementOf(planned.plan, stage))
      }
      if (running.size > 0) return true
      const isFinished = ({ id }: PlannedStage) => finished.has(id)
      if (!planned.plan.stages.every(isFinished)) throw new Error('stages wait for each other')
      return false
    },
    /** Waits for a stage to end and accepts what it made. @returns its failure, if it failed. */
    async nextEnding(): Promise<Failed | undefined> {
      const ending = await Promise.race([...running.values()].map(({ ended }) => ended))
      const { stage, signal } = ending.options
      running.delete(stage.id)
      // Given up meanwhile: whatever came of it is too late.
      if (signal.aborted) return undefined
      accept(ending)
      return 'error' in ending.result ? (ending as Failed) : undefined
    },
    /** @throws MeshError what failed, where it is the prompt's own or nobody else is left. */
    async planAgain({ options, result }: Failed): Promise<Question | undefined> {
      const { stage, placement, attemptId, inputs } = options
      const { error, isOwn } = result
      const { peerId } = placement
      const blamedPeerId = isOwn ? peerId : faults.add({ peerId, error, inputs })
      const report = { stageId: stage.id, peerId, attemptId, error: plainReport(error) }
      job.record({ type: 'stage-failed', ...report, blamedPeerId })
      if (isOwn) ownFailures += 1
      if (!mayTryElsewhere(error) || ownFailures > MAX_OWN_FAILURES) throw error
      return plan(new Set(running.keys()), error)
    },
    giveUp(reason: unknown): void {
      for (const { controller } of running.values()) controller.abort(reason)
    },
    /** When nothing of the job happens any more. */
    async settled(): Promise<void> {
      await Promise.all([...running.values()].map(({ ended }) => ended))
    },
  }
}

function placementOf({ placements }: Plan, { id }: PlannedStage): Placement {
  return placements.find(({ stageId }) => stageId === id)!
}

/** What the plan does not run, and what of it output nodes show. */
function cachedOf({ known, cachedIds }: JobPlan): CachedNodes {
  const shown = [...known].filter(([id]) => cachedIds.includes(id))
  return { nodeIds: cachedIds, outputs: Object.fromEntries(shown) }
}
