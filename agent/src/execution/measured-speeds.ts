/** How fast nodes run here, measured by the jobs that ran since the start. */
import type { Catalog, MeasuredSpeed } from '@comfymesh/protocol/advertisement'
import type { JobState } from '@comfymesh/protocol/job'
import { worksOf } from '../planning/node-work.ts'
import type { JobUpdate } from './live-job.ts'

export interface MeasuredSpeeds {
  /** Learns from a job; only its nodes that ran on this peer count. */
  heard(update: JobUpdate): void
  /** What was learned; the models by content identity, those that are not in the catalog left out. */
  current(catalog: Catalog): MeasuredSpeed[]
}

/** So many of the newest count, to follow a new driver. */
const MAX_SAMPLES = 12

interface Learned {
  readonly classType: string
  /** '' for none. */
  readonly model: string
  readonly stepMs: number[]
}

export function createMeasuredSpeeds(options: { readonly peerId: string }): MeasuredSpeeds {
  const learned = new Map<string, Learned>()

  function learn(state: JobState, nodeId: string, stepMs: number): void {
    const { prompt } = state.request
    const work = worksOf(prompt, [nodeId]).find((one) => one.nodeId === nodeId)
    if (work === undefined) return
    const { classType, model } = work
    const key = JSON.stringify([classType, model])
    const entry = learned.get(key) ?? { classType, model, stepMs: [] }
    learned.set(key, entry)
    entry.stepMs.push(stepMs)
    if (entry.stepMs.length > MAX_SAMPLES) entry.stepMs.shift()
  }

  return {
    heard({ event, state }) {
      if (event.type !== 'node-finished' || event.cached) return
      const node = state.nodes.find(({ nodeId }) => nodeId === event.nodeId)
      if (node?.peerId !== options.peerId) return
      learn(state, event.nodeId, event.elapsedMs / Math.max(1, node.max))
    },
    current: (catalog) =>
      [...learned.values()].flatMap(({ classType, model, stepMs }): MeasuredSpeed[] => {
        const modelId = catalog.find(({ name }) => name === model)?.id
        if (model !== '' && modelId === undefined) return []
        const sum = stepMs.reduce((total, ms) => total + ms, 0)
        return [
          {
            classType,
            ...(modelId !== undefined && { modelId }),
            millisecondsPerStep: sum / stepMs.length,
            samples: stepMs.length,
          },
        ]
      }),
  }
}
