/** Areas, masks, strengths and schedule parts of conditioning against ComfyUI's KSampler. */
import t from 'tap'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { conditioningNodes } from '../../../../src/executors/native/nodes/conditioning.ts'
import { guidedModel } from '../../../../src/executors/native/sampling/guidance.ts'
import { sampleLatent } from '../../../../src/executors/native/sampling/ksampler.ts'
import { prepareGuidance } from '../../../../src/executors/native/sampling/regions.ts'
import type { SamplerName } from '../../../../src/executors/native/sampling/samplers/index.ts'
import type { SchedulerName } from '../../../../src/executors/native/sampling/schedules.ts'
import type { Conditioning, Tensor } from '../../../../src/executors/native/values.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'
import { analyticModel, prompt } from './analytic-denoiser.ts'

/** One number for the prompt, then the nodes that change it. */
type Side = [number, [string, { [input: string]: unknown }][]][]

interface Case {
  readonly node: string
  readonly about: string
  readonly latent: string
  readonly positive: Side
  readonly negative: Side
  readonly seed: number
  readonly steps: number
  readonly cfg: number
  readonly sampler_name: SamplerName
  readonly scheduler: SchedulerName
  readonly outputs: [{ readonly samples: string }]
}

const cases = goldenCases<Case>('nodes').filter(({ node }) => node === 'KSampler')
const golden = goldenTensors('nodes')

async function conditioningOf(side: Side): Promise<Conditioning> {
  const entries: Conditioning[] = []
  for (const [k, changes] of side) {
    let conditioning = prompt(k)
    for (const [name, { mask, ...inputs }] of changes) {
      const row = conditioningNodes.find((one) => one.name === name)
      if (row === undefined) throw new Error(`No node ${name}`)
      const found = mask === undefined ? undefined : golden((mask as { tensor: string }).tensor)
      const values = { ...inputs, conditioning, ...(found && { mask: found }) }
      conditioning = (await row.run(values, {} as NodeContext)).outputs[0] as Conditioning
    }
    entries.push(conditioning)
  }
  return entries.flat()
}

for (const c of cases) {
  t.test(`${c.about}, ${c.latent}`, async (t) => {
    const { denoiser, sampling } = analyticModel()
    const { samples } = await sampleLatent({
      denoiser,
      sampling,
      seed: c.seed,
      steps: c.steps,
      cfg: c.cfg,
      sampler: c.sampler_name,
      scheduler: c.scheduler,
      positive: await conditioningOf(c.positive),
      negative: await conditioningOf(c.negative),
      latent: { samples: golden(c.latent) },
      progress: async () => {},
    })
    const wanted = golden(c.outputs[0].samples)
    const size = wanted.data.reduce((sofar, value) => Math.max(sofar, Math.abs(value)), 1)
    const difference = largestDifference(samples.data, wanted.data) / size
    t.ok(difference < 1e-5, `differs by ${difference.toExponential(1)}`)
  })
}

const latent = (shape: number[]): Tensor => ({
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
  shape,
})

const tokens = (values: number[]): Tensor => ({
  data: Float32Array.from(values),
  shape: [1, values.length, 1],
})

t.test('one evaluation serves all entries that fit together', async (t) => {
  const { denoiser, sampling, seen } = analyticModel()
  const conditioning = {
    positive: [{ tokens: tokens([1, 2]) }, { tokens: tokens([3]) }],
    negative: [{ tokens: tokens([5, 6, 7]) }],
  }
  const contexts: Tensor[] = []
  const spied: typeof denoiser = {
    ...denoiser,
    predict(x, timesteps, context) {
      contexts.push(context)
      return denoiser.predict(x, timesteps, context)
    },
  }
  const x = latent([2, 4, 3, 5])
  const guidance = prepareGuidance(conditioning, x.shape, sampling)
  const model = guidedModel(spied, sampling, guidance, 5)
  await model.denoise(x, 2)
  t.same(seen, [{ sigma: 2, batch: 6 }])
  const [first, second, third] = [
    [1, 2, 1, 2, 1, 2],
    [3, 3, 3, 3, 3, 3],
    [5, 6, 7, 5, 6, 7],
  ]
  const wanted = [first, first, second, second, third, third].flat()
  t.same([...(contexts[0]?.data ?? [])], wanted, 'shorter contexts are repeated')
  t.same(contexts[0]?.shape, [6, 6, 1])
  await model.denoise(x, 1)
  t.equal(contexts[1], contexts[0], 'contexts are joined once')
})

t.test('contexts that would grow too much are evaluated apart', async (t) => {
  const { denoiser, sampling, seen } = analyticModel()
  const conditioning = {
    positive: [{ tokens: tokens([1, 2, 3, 4, 5]) }],
    negative: [{ tokens: tokens([1]) }],
  }
  const x = latent([1, 4, 2, 2])
  const guidance = prepareGuidance(conditioning, x.shape, sampling)
  await guidedModel(denoiser, sampling, guidance, 5).denoise(x, 2)
  t.equal(seen.length, 2)
})

t.test('without guidance the negative side costs nothing', async (t) => {
  const { denoiser, sampling, seen } = analyticModel()
  const x = latent([1, 4, 2, 2])
  const sides = { positive: prompt(1), negative: prompt(2) }
  const model = guidedModel(denoiser, sampling, prepareGuidance(sides, x.shape, sampling), 1)
  const denoised = await model.denoise(x, 2)
  t.same(seen, [{ sigma: 2, batch: 1 }])
  const apart = await model.denoiseApart(x, 2)
  t.same(seen[1], { sigma: 2, batch: 2 }, 'unless a sampler asks for it')
  t.ok(largestDifference(apart.denoised.data, denoised.data) < 1e-6)
  t.ok(largestDifference(apart.unconditional.data, denoised.data) > 1e-2)
})

t.test('a model of v-prediction sees the same as one of epsilon', async (t) => {
  const x = latent([1, 4, 3, 3])
  const [epsilon, v] = await Promise.all(
    (['epsilon', 'v'] as const).map((prediction) => {
      const { denoiser, sampling } = analyticModel(prediction)
      const sides = { positive: prompt(1), negative: prompt(2) }
      const guidance = prepareGuidance(sides, x.shape, sampling)
      return guidedModel(denoiser, sampling, guidance, 3).denoise(x, 1.7)
    }),
  )
  t.ok(largestDifference(epsilon?.data ?? [], v?.data ?? []) < 1e-5)
})

t.test('an area outside the picture is refused', async (t) => {
  const { sampling } = analyticModel()
  const conditioning = { positive: prompt(1, { area: [8, 8, 0, 99] }), negative: prompt(2) }
  t.throws(() => prepareGuidance(conditioning, [1, 4, 8, 8], sampling), { code: 'node_failed' })
})
