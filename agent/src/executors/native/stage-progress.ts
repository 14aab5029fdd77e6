/** Which steps of a node go to the agent, and which of them with a preview. */
import type { NodeId } from '@comfymesh/protocol/workflow'
import { createProgressThrottle } from '../../base/progress-throttle.ts'
import type { Picture, StageEvent } from '../executor.ts'

/** A preview costs an encode here and a decode in every browser; more often than this is waste. */
const PREVIEW_INTERVAL_MS = 330

export interface ProgressOptions {
  readonly nodeId: NodeId
  readonly previews: boolean
  readonly report: (event: StageEvent) => void
}

export interface ProgressReporter {
  /**
   * @param preview called when one is due; the steps that follow do not wait for what it makes.
   * @returns whether the step was reported.
   */
  step(value: number, max: number, preview?: () => Promise<Picture>): boolean
  /** The node has ended: a preview that is still being made is of no use any more. */
  end(): void
}

/**
 * Reports the steps that are worth telling, and previews at longer intervals. A preview goes out
 * when it is made, with the step that is the last one by then.
 */
export function createProgressReporter(
  { nodeId, previews, report }: ProgressOptions,
  now: () => number,
): ProgressReporter {
  const isDue = createProgressThrottle(now)
  let last = { value: 0, max: 0 }
  const startedAt = now()
  let nextPreviewAt = startedAt + PREVIEW_INTERVAL_MS
  let isMakingPreview = false
  let isEnded = false

  /** At the end of a node nobody would see it before the result. */
  function previewIsDue(time: number, value: number, max: number): boolean {
    const remainingMs = ((time - startedAt) / value) * (max - value)
    return !isMakingPreview && time >= nextPreviewAt && remainingMs >= PREVIEW_INTERVAL_MS
  }

  async function showPreview(make: () => Promise<Picture>): Promise<void> {
    isMakingPreview = true
    nextPreviewAt = now() + PREVIEW_INTERVAL_MS
    try {
      const preview = await make()
      if (!isEnded) report({ type: 'node-progress', nodeId, ...last, preview })
    } catch (error) {
      console.error(`node ${nodeId}: a preview could not be made`, error)
    } finally {
      isMakingPreview = false
    }
  }

  return {
    step(value, max, preview) {
      last = { value, max }
      if (previews && preview !== undefined && previewIsDue(now(), value, max))
        void showPreview(preview)
      if (!isDue({ nodeId, value, max })) return false
      report({ type: 'node-progress', nodeId, value, max })
      return true
    },
    end() {
      isEnded = true
    },
  }
}
