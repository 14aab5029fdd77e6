/** One job from its place at the head of the queue to its end. */
import { randomUUID } from 'node:crypto'
import { MeshError } from '@comfymesh/protocol/errors'
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import type { Placement, PlannedStage } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { PngText } from '../base/png-text.ts'
import { type JobPlanModules, planRequest } from './job-plan.ts'
import type { KnownResults } from './known-results.ts'
import type { LiveJob } from './live-job.ts'
import type { PictureFiles } from './picture-files.ts'
import { pngTexts } from './png-texts.ts'
import type { StageClient } from './stage-client.ts'
import { announceCached, type CachedNodes, createStageRecorder } from './stage-recorder.ts'
import { AGENT_STOPS } from './stage-run.ts'

export interface JobRunModules extends JobPlanModules {
  readonly client: StageClient
  readonly pictures: Pick<PictureFiles, 'save' | 'exist'>
  readonly results: KnownResults
  readonly now: () => number
}

/** Once more after a failure that another attempt may not meet; then the reason is the job's. */
const MAX_ATTEMPTS = 2

/** Runs a job and records how it ended. Never throws: every end is an event. */
export async function runJob(
  job: LiveJob,
  signal: AbortSignal,
  modules: JobRunModules,
): Promise<void> {
  await job.record({ type: 'started' })
  try {
    await runWithRetry(job, signal, modules)
    await job.record({ type: 'completed' })
  } catch (thrown) {
    if (signal.reason === AGENT_STOPS) return
    await job.record(endOf(job, MeshError.from(thrown), signal.aborted))
  }
}

async function runWithRetry(job: LiveJob, signal: AbortSignal, modules: JobRunModules) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(job, signal, modules)
    } catch (thrown) {
      const error = MeshError.from(thrown)
      if (signal.aborted || !error.retryable || attempt === MAX_ATTEMPTS) throw error
    }
  }
}

async function runOnce(job: LiveJob, signal: AbortSignal, modules: JobRunModules): Promise<void> {
  const made = await madeBefore(job, modules)
  const planned = await planRequest(job.state.request, modules, made)
  const { plan, signatures, known, cachedIds } = planned
  modules.results.keepOnly(signatures.values())
  if (plan.question !== undefined) throw unanswered(plan.question)
  await job.record({ type: 'planned', plan })
  const cached = {
    nodeIds: cachedIds,
    outputs: Object.fromEntries([...known].filter(([id]) => cachedIds.includes(id))),
  }
  if (plan.stages.length === 0) await announceCached(job, cached)
  const texts = () => pngTexts(job.state.request, planned.graph, planned.order)
  for (const stage of plan.stages) {
    const placement = plan.placements.find(({ stageId }) => stageId === stage.id)!
    await runStage({ job, stage, placement, cached, texts, signal }, modules)
  }
}

/** The outputs that an earlier attempt of this job has made, or one before a restart. */
async function madeBefore(
  job: LiveJob,
  { pictures }: Pick<JobRunModules, 'pictures'>,
): Promise<Map<NodeId, JsonObject>> {
  const made = new Map<NodeId, JsonObject>()
  for (const [id, output] of Object.entries(job.state.outputs))
    if (await pictures.exist(output)) made.set(id, output)
  return made
}

/** Nobody may decide for a user who wants to be asked. */
function unanswered(question: string): MeshError {
  const message = `${question} If so, run it again with extra_data.comfymesh.fallback "auto".`
  return new MeshError('no_peer', message, { details: { question } })
}

interface StageRun {
  readonly job: LiveJob
  readonly stage: PlannedStage
  readonly placement: Placement
  readonly cached: CachedNodes
  readonly texts: () => readonly PngText[]
  readonly signal: AbortSignal
}

async function runStage(run: StageRun, modules: JobRunModules): Promise<void> {
  const { job, stage, placement, cached, texts, signal } = run
  const { peerId } = placement
  const startedAtMs = modules.now()
  const attemptId = randomUUID()
  await job.record({ type: 'stage-started', stageId: stage.id, peerId, attemptId })
  // A stage whose results cannot be kept need not go on.
  const failing = new AbortController()
  const recorder = createStageRecorder(
    { job, stage, peerId, cached, texts, onFailure: () => failing.abort() },
    modules,
  )
  const { after: _, ...sent } = stage
  const { loadMs, computeMs } = placement.estimate
  const request = {
    stage: sent,
    jobId: job.state.request.id,
    attemptId,
    inputs: [],
    expectedMs: loadMs + computeMs,
    previews: true,
  }
  try {
    const outcome = await modules.client.run(peerId, request, {
      signal: AbortSignal.any([signal, failing.signal]),
      report: (told) => {
        if (told.type !== 'admitted' && told.type !== 'began') recorder.report(told)
      },
    })
    await recorder.settled()
    const elapsedMs = modules.now() - startedAtMs
    const finished = { stageId: stage.id, peerId, attemptId, elapsedMs, ...outcome }
    await job.record({ type: 'stage-finished', ...finished })
  } catch (error) {
    // Its own failure to record is the true reason when that is what stopped the stage.
    await recorder.settled()
    if (!signal.aborted) {
      const report = plainReport(MeshError.from(error))
      const failed = { stageId: stage.id, peerId, attemptId, error: report, blamedPeerId: peerId }
      await job.record({ type: 'stage-failed', ...failed })
    }
    throw error
  }
}

/** The last event of a job that did not complete. */
function endOf(job: LiveJob, error: MeshError, wasCancelled: boolean) {
  const running = job.state.nodes.find(({ status }) => status === 'running')?.nodeId
  const told = error.details.nodeId
  const nodeId = typeof told === 'string' ? told : running
  const node = nodeId === undefined ? {} : { nodeId }
  if (wasCancelled || error.code === 'interrupted') return { type: 'interrupted', ...node } as const
  return { type: 'failed', error: plainReport(error), ...node } as const
}

/** Details as they can be written down: what is no JSON is left out. */
function plainReport(error: MeshError) {
  const { code, message } = error
  return { code, message, details: parseJson(stringifyJson(error.details)) as JsonObject }
}
