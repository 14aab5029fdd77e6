/** With what a picture was made, in a few words. Pure. */
import type { PromptSummary } from '@comfymesh/protocol/prompt-summary'

/** `seed 7`, `256 × 256`, `20 steps`, ... */
export function settingsOf({ seed, width, height, steps, cfg, model }: PromptSummary): string[] {
  return [
    ...(seed === undefined ? [] : [`seed ${seed}`]),
    ...(width === undefined || height === undefined ? [] : [`${width} × ${height}`]),
    ...(steps === undefined ? [] : [`${steps} steps`]),
    ...(cfg === undefined ? [] : [`guidance ${cfg}`]),
    ...(model === undefined ? [] : [model.replace(/\.safetensors$/, '')]),
  ]
}

/** `1.4 s`; empty before it has ended. */
export function tookText(job: {
  readonly startedAtMs?: number | undefined
  readonly finishedAtMs?: number | undefined
}): string {
  if (job.startedAtMs === undefined || job.finishedAtMs === undefined) return ''
  return `${((job.finishedAtMs - job.startedAtMs) / 1000).toFixed(1)} s`
}
