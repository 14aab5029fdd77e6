/** What other stages made for this one: read when a node needs it, and once. */
import { stat } from 'node:fs/promises'
import type { NodeLink } from '@comfymesh/protocol/workflow'
import type { Stage, StageInput } from '../executor.ts'
import type { OutputCache } from './output-cache.ts'

export interface StageInputs {
  /** @returns undefined where the link names no input. @throws MeshError as readOutput */
  of(link: NodeLink): Promise<unknown>
}

/** @param cache where values stay for the stages that follow, beside what nodes returned. */
export function createStageInputs({ inputs }: Stage, cache: OutputCache): StageInputs {
  const byOutput = new Map<string, StageInput[]>()
  for (const input of inputs) {
    const key = `${input.nodeId}:${input.slot}`
    byOutput.set(key, [...(byOutput.get(key) ?? []), input])
  }
  const values = new Map<string, unknown>()

  async function recallOrRead(parts: readonly StageInput[]): Promise<unknown> {
    const key = await contentKey(parts)
    const recalled = key === undefined ? undefined : cache.get(key)
    if (recalled !== undefined) return recalled.outputs[0]
    // Loaded with the first value that comes, as handOut is with the first that goes.
    const { readOutput } = await import('./travel/stage-values.ts')
    const value = await readOutput(parts)
    if (key !== undefined) cache.set(key, { outputs: [value] })
    return value
  }

  return {
    async of([nodeId, slot]) {
      const key = `${nodeId}:${slot}`
      const parts = byOutput.get(key)
      if (parts === undefined) return undefined
      if (!values.has(key)) values.set(key, await recallOrRead(parts))
      return values.get(key)
    },
  }
}

/** Equal for the same files; undefined where one is not there, as whoever reads it will say. */
async function contentKey(parts: readonly StageInput[]): Promise<string | undefined> {
  try {
    const files = parts.map(async ({ path, type, slice }) => {
      const { size, mtimeMs, ino } = await stat(path)
      return [path, type, slice ?? null, size, mtimeMs, ino]
    })
    return `value ${JSON.stringify(await Promise.all(files))}`
  } catch {
    return undefined
  }
}
