/**
 * Turns what a stage reports into the events of its job, one after the other:
 * pictures are saved before their node counts as finished.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { PlannedStage } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { PngText } from '../base/png-text.ts'
import { createProgressThrottle } from '../base/progress-throttle.ts'
import type { HandedPicture, SavedPicture, StageEvent } from '../executors/executor.ts'
import type { KnownResults } from './known-results.ts'
import type { LiveJob } from './live-job.ts'
import type { PictureFiles } from './picture-files.ts'
import { cancelled, type StageReport } from './stage-run.ts'

/** Nodes that need not run, and what the output nodes among them show. */
export interface CachedNodes {
  readonly nodeIds: NodeId[]
  readonly outputs: Record<NodeId, JsonObject>
  /** What they ignored when they ran. */
  readonly warnings?: Record<NodeId, readonly string[]>
}

export interface StageRecorderOptions {
  readonly job: LiveJob
  readonly stage: PlannedStage
  readonly peerId: string
  readonly attemptId: string
  /** What was known before the stage began, where that is announced with what its executor knows. */
  readonly cached?: CachedNodes
  /** What its pictures carry. */
  readonly texts: () => readonly PngText[]
  readonly onFailure: () => void
  /** Of an attempt that was given up nothing is recorded any more. */
  readonly signal: AbortSignal
}

export interface StageRecorderModules {
  readonly pictures: Pick<PictureFiles, 'save' | 'exist'>
  readonly results: Pick<KnownResults, 'recall' | 'remember'>
}

export interface StageRecorder {
  readonly report: (report: StageReport) => void
  /**
   * When everything reported so far is recorded, though perhaps not yet written or told.
   * @returns what the recording failed with.
   */
  settled(): Promise<MeshError | undefined>
}

type Finished = Extract<StageEvent, { type: 'node-finished' }>

export function createStageRecorder(
  options: StageRecorderOptions,
  modules: StageRecorderModules,
): StageRecorder {
  const { job, peerId, signal } = options
  const isDue = createProgressThrottle(() => performance.now())
  /** ComfyUI announces all cached nodes at once, before the first that runs. */
  let prelude: CachedNodes | undefined = options.cached && {
    nodeIds: [...options.cached.nodeIds],
    outputs: { ...options.cached.outputs },
  }
  let tail: Promise<void> = Promise.resolve()

  function endPrelude(): void {
    if (prelude === undefined) return
    announceCached(job, prelude)
    prelude = undefined
  }

  /** A loader runs in several stages, and is told of once; a stage that is joined again repeats itself. */
  function isTold(nodeId: NodeId): boolean {
    const node = job.state.nodes.find((one) => one.nodeId === nodeId)
    if (node === undefined || node.peerId === '') return false
    return node.peerId !== peerId || node.status === 'finished'
  }

  async function recordOne(event: StageReport): Promise<void> {
    if (signal.aborted || event.type === 'admitted') return
    if (event.type === 'began') {
      const { stage, attemptId } = options
      job.record({ type: 'stage-began', stageId: stage.id, attemptId })
      return
    }
    if (!isTold(event.nodeId)) await recordNode(event)
  }

  async function recordNode(event: StageEvent): Promise<void> {
    if (prelude !== undefined && event.type === 'node-finished' && event.cached) {
      const output = await outputOf(event)
      prelude.nodeIds.push(event.nodeId)
      if (output !== undefined) prelude.outputs[event.nodeId] = output
      const { nodeId, warnings } = event
      if (warnings) prelude = { ...prelude, warnings: { ...prelude.warnings, [nodeId]: warnings } }
      return
    }
    endPrelude()
    switch (event.type) {
      case 'node-started':
        job.record({ type: 'node-started', nodeId: event.nodeId, peerId })
        break
      case 'node-progress': {
        const { nodeId, value, max, preview } = event
        job.record({ type: 'node-progress', nodeId, value, max }, preview)
        break
      }
      case 'node-finished':
        await recordFinished(event)
    }
  }

  async function recordFinished(event: Finished): Promise<void> {
    const { nodeId, cached, elapsedMs, warnings } = event
    showClients(event)
    const output = await outputOf(event)
    const shown = { ...(output && { output }), ...(warnings && { warnings }) }
    job.record({ type: 'node-finished', nodeId, cached, elapsedMs, ...shown })
  }

  /** As ComfyUI's SaveImageWebsocket: each one as the preview of a step. */
  function showClients({ nodeId, pictures = [] }: Finished): void {
    const shown = pictures.filter(({ folder }) => folder === 'client')
    for (const [value, picture] of shown.entries())
      job.record({ type: 'node-progress', nodeId, value, max: shown.length }, picture)
  }

  /** What the node shows, its pictures saved, known from now on. */
  async function outputOf(event: Finished): Promise<JsonObject | undefined> {
    const isShowing = event.pictures?.some(isSaved) || event.ui !== undefined
    if (!isShowing) return undefined
    const signature = options.stage.nodes.find(({ id }) => id === event.nodeId)?.signature
    const output = await savedOutput(event, signature)
    if (signature !== undefined) modules.results.remember(signature, output)
    return output
  }

  /** An earlier attempt, or a node just like this one, may have saved the pictures already. */
  async function savedOutput(event: Finished, signature: string | undefined): Promise<JsonObject> {
    const { nodeId } = event
    const pictures = event.pictures?.filter(isSaved) ?? []
    if (pictures.length === 0) return { ...event.ui }
    const { outputs, named } = job.state
    // A node may well be called `constructor`.
    const before = Object.hasOwn(outputs, nodeId) ? outputs[nodeId] : undefined
    if (before !== undefined && (await modules.pictures.exist(before))) return before
    if (event.cached && signature !== undefined) {
      const known = await modules.results.recall([nodeId], new Map([[nodeId, signature]]))
      if (known.has(nodeId)) return known.get(nodeId)!
    }
    const images = await modules.pictures.save(pictures, options.texts(), {
      named: Object.hasOwn(named, nodeId) ? named[nodeId]! : [],
      name: async (index, picture) => {
        await job.record({ type: 'picture-named', nodeId, index, ...picture })
        // Given up meanwhile, perhaps because the job was not accepted.
        if (signal.aborted) throw cancelled()
      },
    })
    return { ...event.ui, images: images.map((image) => ({ ...image })) }
  }

  return {
    report: (event) => {
      if (event.type === 'node-progress' && !isDue(event)) return
      tail = tail.then(() => recordOne(event))
      tail.catch(options.onFailure)
    },
    async settled() {
      try {
        await tail
        if (!signal.aborted) endPrelude()
        return undefined
      } catch (thrown) {
        return MeshError.from(thrown)
      }
    },
  }
}

function isSaved(picture: HandedPicture): picture is SavedPicture {
  return picture.folder !== 'client'
}

/** Once a job; what another attempt finds cached is the work of the one before it. */
export function announceCached(job: LiveJob, cached: CachedNodes): void {
  if (job.state.cached === undefined) {
    job.record({ type: 'nodes-cached', ...cached })
    return
  }
  const started = new Set(job.state.nodes.map(({ nodeId }) => nodeId))
  for (const [nodeId, output] of Object.entries(cached.outputs)) {
    if (started.has(nodeId)) continue
    job.record({ type: 'node-finished', nodeId, cached: true, elapsedMs: 0, output })
  }
}
