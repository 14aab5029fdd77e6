/** Which steps of a node are worth a message: as often as ComfyUI tells its frontend, no more. */
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { Picture, StageEvent } from '../executor.ts'

/** ComfyUI's throttle: both must have passed since the last message. */
const MIN_INTERVAL_MS = 100
const MIN_FRACTION = 0.005

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
 * Reports a step unless it follows the last report too closely; the first and the last always go
 * out. A preview goes out when it is made, with the step that is the last one by then.
 */
export function createProgressReporter(
  { nodeId, previews, report }: ProgressOptions,
  now: () => number,
): ProgressReporter {
  let reportedAt = Number.NEGATIVE_INFINITY
  let reportedValue = Number.NEGATIVE_INFINITY
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
      const time = now()
      last = { value, max }
      if (previews && preview !== undefined && previewIsDue(time, value, max))
        void showPreview(preview)
      const isLate = time - reportedAt >= MIN_INTERVAL_MS
      const isFarther = (value - reportedValue) / max >= MIN_FRACTION
      if (!(isLate && isFarther) && value < max) return false
      reportedAt = time
      reportedValue = value
      report({ type: 'node-progress', nodeId, value, max })
      return true
    },
    end() {
      isEnded = true
    },
  }
}
