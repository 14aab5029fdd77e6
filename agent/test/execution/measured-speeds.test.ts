/** How fast nodes ran here. */
import type { JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import { createMeasuredSpeeds } from '../../src/execution/measured-speeds.ts'

const prompt = {
  1: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'm.safetensors' } },
  2: { class_type: 'KSampler', inputs: { model: ['1', 0], steps: 4 } },
  3: { class_type: 'TN_Int', inputs: { value: 1 } },
}

function finished(nodeId: string, elapsedMs: number, max: number, peerId = 'me', cached = false) {
  const state = { request: { prompt }, nodes: [{ nodeId, peerId, max }] } as unknown as JobState
  const event = { type: 'node-finished', jobId: 'j', atMs: 0, nodeId, elapsedMs, cached } as const
  return { state, event }
}

t.test('the mean time of a step, by class and model', async (t) => {
  const speeds = createMeasuredSpeeds({ peerId: 'me' })
  speeds.heard(finished('2', 400, 4))
  speeds.heard(finished('2', 800, 4))
  speeds.heard(finished('3', 5, 1))
  speeds.heard(finished('2', 1, 4, 'another'))
  speeds.heard(finished('2', 1, 4, 'me', true))
  const catalog = [{ kind: 'checkpoints', name: 'm.safetensors', id: 'content', sizeBytes: 1 }]
  t.strictSame(speeds.current(catalog), [
    { classType: 'KSampler', modelId: 'content', millisecondsPerStep: 150, samples: 2 },
    { classType: 'TN_Int', millisecondsPerStep: 5, samples: 1 },
  ])
  t.equal(speeds.current([]).length, 1, 'of a model that is gone nothing is said')
})
