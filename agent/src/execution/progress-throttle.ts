/** ComfyUI's limit on progress messages, so that fast steps do not flood clients. */
import type { StageEvent } from '../executors/executor.ts'

type Progress = Extract<StageEvent, { type: 'node-progress' }>

/** ComfyUI's numbers: ten a second, and only what moves a progress bar. */
const MIN_INTERVAL_MS = 100
const MIN_SHARE = 0.005

/** Whether a step is worth telling: the first, the last, one with a preview, or late and far enough. */
export function createProgressThrottle(now: () => number): (event: Progress) => boolean {
  const told = new Map<string, { readonly atMs: number; readonly value: number }>()
  return ({ nodeId, value, max, preview }) => {
    const before = told.get(nodeId)
    const atMs = now()
    const isDue =
      before === undefined ||
      value >= max ||
      preview !== undefined ||
      (atMs - before.atMs >= MIN_INTERVAL_MS && (value - before.value) / max >= MIN_SHARE)
    if (isDue) told.set(nodeId, { atMs, value })
    return isDue
  }
}
