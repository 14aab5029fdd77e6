/**
 * ComfyUI's limit on progress messages, so that fast steps do not flood clients. The runner keeps
 * to it, and the agent holds every report to it again, because those of a peer are not believed.
 */

/** ComfyUI's numbers: ten a second, and only what moves a progress bar. */
const MIN_INTERVAL_MS = 100
const MIN_SHARE = 0.005

interface Step {
  readonly nodeId: string
  readonly value: number
  readonly max: number
  readonly preview?: unknown
}

/**
 * @param now milliseconds of a clock that only goes forward.
 * @returns whether a step is worth telling: the first of its node, the last, one with a preview, or
 *   one that is late and far enough.
 */
export function createProgressThrottle(now: () => number): (step: Step) => boolean {
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
