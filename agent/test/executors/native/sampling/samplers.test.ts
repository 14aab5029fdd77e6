/** Every sampler with every scheduler against whole runs of ComfyUI's KSampler nodes. */
import t from 'tap'
import {
  type SamplingRequest,
  sampleLatent,
} from '../../../../src/executors/native/sampling/ksampler.ts'
import {
  type SamplerName,
  samplerNames,
} from '../../../../src/executors/native/sampling/samplers/index.ts'
import {
  type SchedulerName,
  schedulerNames,
} from '../../../../src/executors/native/sampling/schedules.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'
import { analyticModel, prompt } from './analytic-denoiser.ts'

interface Case {
  readonly name: string
  readonly node: 'KSampler' | 'KSamplerAdvanced'
  readonly latent: string
  readonly seed?: string
  readonly noise_seed?: string
  readonly steps: number
  readonly cfg: number
  readonly denoise?: number
  readonly sampler_name: SamplerName
  readonly scheduler: SchedulerName
  readonly mask?: string
  readonly batch_index?: number[]
  readonly add_noise?: 'enable' | 'disable'
  readonly start_at_step?: number
  readonly end_at_step?: number
  readonly return_with_leftover_noise?: 'enable' | 'disable'
  readonly evaluations?: number[]
}

const cases = goldenCases<Case>('samplers')
const golden = goldenTensors('samplers')

function advancedParts(c: Case): Partial<SamplingRequest> {
  if (c.node === 'KSampler') return { denoise: c.denoise as number }
  return {
    addNoise: c.add_noise === 'enable',
    startStep: c.start_at_step as number,
    endStep: c.end_at_step as number,
    removeLeftoverNoise: c.return_with_leftover_noise === 'disable',
  }
}

async function run(c: Case) {
  const { denoiser, sampling, seen } = analyticModel()
  const steps: { step: number; total: number }[] = []
  const latent = await sampleLatent({
    denoiser,
    sampling,
    seed: BigInt(c.seed ?? c.noise_seed ?? 0),
    steps: c.steps,
    cfg: c.cfg,
    sampler: c.sampler_name,
    scheduler: c.scheduler,
    positive: prompt(1),
    negative: prompt(-0.5),
    latent: {
      samples: golden(`latent.${c.latent}`),
      ...(c.mask && { noiseMask: golden(`mask.${c.mask}`) }),
      ...(c.batch_index && { batchIndex: c.batch_index }),
    },
    ...advancedParts(c),
    progress: async (step, total) => {
      steps.push({ step, total })
    },
  })
  return { found: latent.samples, sigmas: seen.map(({ sigma }) => sigma), steps }
}

/** The largest difference, in parts of the largest value where that exceeds 1. */
function relativeDifference(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const size = Array.from(wanted).reduce((sofar, value) => Math.max(sofar, Math.abs(value)), 1)
  return largestDifference(found, wanted) / size
}

const TOLERANCE = 1e-4

t.test("the tables are ComfyUI's", async (t) => {
  const distinct = <T>(values: T[]) => [...new Set(values)]
  t.same(samplerNames, distinct(cases.map((c) => c.sampler_name)))
  t.same([...schedulerNames].sort(), distinct(cases.map((c) => c.scheduler)).sort())
})

for (const sampler of samplerNames) {
  t.test(sampler, async (t) => {
    for (const c of cases.filter((one) => one.sampler_name === sampler)) {
      const wanted = golden(c.name)
      // ComfyUI's own result is not a number there: a single step of kl_optimal.
      if (!wanted.data.every(Number.isFinite)) continue
      const { found, sigmas, steps } = await run(c)
      t.same(found.shape, wanted.shape)
      const difference = relativeDifference(found.data, wanted.data)
      t.ok(difference < TOLERANCE, `${c.name} differs by ${difference.toExponential(1)}`)
      if (c.evaluations !== undefined) {
        const apart = relativeDifference(sigmas, c.evaluations)
        t.ok(apart < 2e-5, `${c.name} asks the model at ComfyUI's sigmas (${apart})`)
      }
      t.ok(steps.every(({ step, total }, i) => step <= total && step >= Math.min(i + 1, total)))
    }
  })
}
