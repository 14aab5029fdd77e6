/** Tries out every machine with a small prompt of its own, and remembers what came of it. */
import type { JobState } from '@comfymesh/protocol/job'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { submitPrompt } from '../api/comfyui.ts'
import { clientId } from './agent.ts'
import { SHIPPED } from './default-prompt.ts'
import { randomSeed } from './seed.ts'
import { createStore } from './store.ts'

/** The test of one machine: its job, or why there is none. */
export type MachineTest = { readonly jobId: string } | { readonly problem: string }

/** By peer, of the last test. */
export const machineTests = createStore<ReadonlyMap<string, MachineTest>>(new Map())

/** Marks the jobs of a test in their extra_data, so that they are not taken for pictures. */
const TEST_MARK = 'comfymesh_test'

export function isMeshTest({ request }: JobState): boolean {
  return request.extraData[TEST_MARK] === true
}

/** Small enough for any machine, with the model that ships with every agent. */
function testPrompt(seed: number): Prompt {
  return {
    model: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: SHIPPED } },
    prompt: {
      class_type: 'CLIPTextEncode',
      inputs: { text: 'a green circle on a white background', clip: ['model', 1] },
    },
    avoid: { class_type: 'CLIPTextEncode', inputs: { text: '', clip: ['model', 1] } },
    size: { class_type: 'EmptyLatentImage', inputs: { width: 256, height: 256, batch_size: 1 } },
    sample: {
      class_type: 'KSampler',
      inputs: {
        model: ['model', 0],
        seed,
        steps: 8,
        cfg: 4.5,
        sampler_name: 'euler',
        scheduler: 'normal',
        positive: ['prompt', 0],
        negative: ['avoid', 0],
        latent_image: ['size', 0],
        denoise: 1,
      },
    },
    decode: { class_type: 'VAEDecode', inputs: { samples: ['sample', 0], vae: ['model', 2] } },
    show: { class_type: 'PreviewImage', inputs: { images: ['decode', 0] } },
  }
}

/** Every connected machine at once; one that cannot says why. */
export async function testMachines(peers: readonly MeshPeer[]): Promise<void> {
  machineTests.set(new Map())
  const tested = peers.filter(({ state }) => state !== 'away')
  await Promise.all(
    tested.map(async ({ peerId }) => {
      const test = await submitTest(peerId).catch((error: Error) => ({ problem: error.message }))
      machineTests.set((before) => new Map([...before, [peerId, test]]))
    }),
  )
}

async function submitTest(peerId: string): Promise<MachineTest> {
  const prompt = testPrompt(randomSeed())
  const affinity = Object.fromEntries(Object.keys(prompt).map((nodeId) => [nodeId, peerId]))
  const comfymesh = { affinity, fallback: 'none' }
  const extraData = { comfymesh, [TEST_MARK]: true }
  const { prompt_id: jobId } = await submitPrompt(prompt, clientId, extraData)
  return { jobId }
}
