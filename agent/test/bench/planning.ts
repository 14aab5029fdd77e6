/** The planner alone: a prompt far larger than anybody's, over more peers than anybody has. */
import type { Prompt } from '@comfymesh/protocol/workflow'
import { inputOf, latent, peer, promptOf, sampled, texts } from '../planning/meshes.ts'
import { type Benchmark, median } from './benchmark.ts'

const PEERS = 100
const NODES = 1000
const REPEATS = 31

export const plan1000x100: Benchmark = {
  name: 'plan-1000x100',
  unit: 'ms',
  target: 50,
  better: 'lower',
  about: `plan of a prompt of ${NODES} nodes over ${PEERS} peers, median of ${REPEATS}`,
  async run() {
    const { planJob } = await builtPlanner()
    const input = inputOf(largePrompt(), peers())
    const times = Array.from({ length: REPEATS }, () => {
      const startedAt = performance.now()
      planJob(input)
      return performance.now() - startedAt
    })
    return median(times)
  },
}

/** As it ships: running from source costs time of its own. */
function builtPlanner(): Promise<typeof import('../../src/planning/plan.ts')> {
  return import(new URL('../../dist/planning/plan.js', import.meta.url).href)
}

/** Pictures that share their texts: a third is only decoded, a third upscaled and sampled again. */
function largePrompt(): Prompt {
  const nodes = promptOf({
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: 'sd15.safetensors' }],
    ...texts(['ckpt', 1]),
    ...latent(),
  })
  for (let i = 0; Object.keys(nodes).length < NODES; i++) {
    Object.assign(nodes, promptOf(sampled(String(i))))
    if (i % 3 !== 0) continue
    const again = promptOf(sampled(`${i}b`))
    again[`sample${i}b`]!.inputs.latent_image = [`up${i}`, 0]
    const scaled = { samples: [`sample${i}`, 0], upscale_method: 'bilinear', scale_by: 1.5 }
    Object.assign(nodes, again, promptOf({ [`up${i}`]: ['LatentUpscaleBy', scaled] }))
  }
  return nodes
}

/** Of several speeds; every tenth lacks the model, every seventh is small, some are busy. */
function peers() {
  return Array.from({ length: PEERS }, (_, i) =>
    peer(`peer${i}`, {
      gflops: 2000 + (i % 9) * 1500,
      waitMs: (i % 4) * 5000,
      memoryGb: i % 7 === 6 ? 1 : 12,
      ...(i % 10 === 9 && { has: ['vae.safetensors'] }),
    }),
  )
}
