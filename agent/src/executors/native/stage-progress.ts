/** Which steps of a node are worth a message: as often as ComfyUI tells its frontend, no more. */
import type { NodeId } from '@comfymesh/protocol/workflow'
import type { Picture, StageEvent } from '../executor.ts'

/** ComfyUI's throttle: both must have passed since the last message. */
const MIN_INTERVAL_MS = 100
const MIN_FRACTION = 0.005

/** A preview costs an encode here and a decode in every browser; more often than this is waste. */
const PREVIEW_INTERVAL_MS = 330

/** Making previews takes at most this part of the time between them. */
const PREVIEW_SHARE = 0.01

export interface ProgressOptions {
  readonly nodeId: NodeId
  readonly previews: boolean
  readonly report: (event: StageEvent) => void
}

/** @returns whether the step was reported. */
export type ReportProgress = (
  value: number,
  max: number,
  preview?: () => Promise<Picture>,
) => Promise<boolean>

/**
 * Reports a step unless it follows the last report too closely; the first, the
 * last and those with a preview always go out.
 */
export function createProgressReporter(
  { nodeId, previews, report }: ProgressOptions,
  now: () => number,
): ReportProgress {
  let lastAt = Number.NEGATIVE_INFINITY
  let lastValue = Number.NEGATIVE_INFINITY
  const startedAt = now()
  let nextPreviewAt = startedAt + PREVIEW_INTERVAL_MS

  /** At the end of a node nobody would see it before the result. */
  function previewIsDue(time: number, value: number, max: number): boolean {
    const remainingMs = ((time - startedAt) / value) * (max - value)
    return time >= nextPreviewAt && remainingMs >= PREVIEW_INTERVAL_MS
  }

  async function makePreview(preview: () => Promise<Picture>): Promise<Picture> {
    const begunAt = now()
    const picture = await preview()
    const endedAt = now()
    const interval = Math.max(PREVIEW_INTERVAL_MS, (endedAt - begunAt) / PREVIEW_SHARE)
    nextPreviewAt = endedAt + interval
    return picture
  }

  return async (value, max, preview) => {
    const time = now()
    const showPreview = previews && preview !== undefined && previewIsDue(time, value, max)
    const due = time - lastAt >= MIN_INTERVAL_MS && (value - lastValue) / max >= MIN_FRACTION
    if (!due && !showPreview && value < max) return false
    lastAt = time
    lastValue = value
    const shown = showPreview ? { preview: await makePreview(preview) } : {}
    report({ type: 'node-progress', nodeId, value, max, ...shown })
    return true
  }
}
