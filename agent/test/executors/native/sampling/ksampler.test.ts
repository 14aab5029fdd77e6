/** The ends of sampling runs: where nothing is to do, and what does not fit. */
import t from 'tap'
import { filled, zeros } from '../../../../src/executors/native/array/tensor.ts'
import {
  type SamplingRequest,
  sampleLatent,
} from '../../../../src/executors/native/sampling/ksampler.ts'
import { latentToRgb } from '../../../../src/executors/native/sampling/preview.ts'
import type { Latent } from '../../../../src/executors/native/values.ts'
import { largestDifference } from '../../../goldens.ts'
import { analyticModel, prompt } from './analytic-denoiser.ts'

function request(latent: Latent, parts: Partial<SamplingRequest> = {}) {
  const { denoiser, sampling, seen } = analyticModel()
  const whole: SamplingRequest = {
    denoiser,
    sampling,
    seed: 1,
    steps: 4,
    cfg: 3,
    sampler: 'euler',
    scheduler: 'normal',
    positive: prompt(1),
    negative: prompt(0),
    latent,
    progress: async () => {},
    ...parts,
  }
  return { run: () => sampleLatent(whole), seen }
}

const picture: Latent = { samples: filled([1, 4, 4, 4], 0.7) }

t.test('a run without steps returns the latent as it was', async (t) => {
  for (const parts of [{ denoise: 0 }, { startStep: 4 }, { startStep: 9 }, { endStep: 0 }]) {
    const { run, seen } = request(picture, parts)
    t.same((await run()).samples, picture.samples, JSON.stringify(parts))
    t.equal(seen.length, 0)
  }
})

t.test('two half runs give what one whole run gives', async (t) => {
  const whole = await request(picture).run()
  const first = await request(picture, { endStep: 2 }).run()
  const second = await request(first, { startStep: 2, addNoise: false }).run()
  t.ok(largestDifference(second.samples.data, whole.samples.data) < 1e-5)
})

t.test('what else a latent carries stays on it', async (t) => {
  const latent = { ...picture, noiseMask: filled([1, 32, 32], 1), batchIndex: [2] }
  const found = await request(latent).run()
  t.equal(found.noiseMask, latent.noiseMask)
  t.equal(found.batchIndex, latent.batchIndex)
})

t.test('a mask of zeros keeps the picture, a mask of ones changes nothing', async (t) => {
  const kept = await request({ ...picture, noiseMask: zeros([1, 32, 32]) }).run()
  t.ok(largestDifference(kept.samples.data, picture.samples.data) < 1e-6)
  const free = await request({ ...picture, noiseMask: filled([1, 32, 32], 1) }).run()
  const plain = await request(picture).run()
  t.ok(largestDifference(free.samples.data, plain.samples.data) < 1e-6)
})

t.test('one picture of a batch can be made again alone', async (t) => {
  const batch = { samples: zeros([3, 4, 4, 4]), batchIndex: [0, 1, 2] }
  const all = await request(batch, { sampler: 'dpmpp_2m' }).run()
  const single = { samples: zeros([1, 4, 4, 4]), batchIndex: [2] }
  const again = await request(single, { sampler: 'dpmpp_2m' }).run()
  t.ok(largestDifference(again.samples.data, all.samples.data.subarray(128)) < 1e-5)
})

t.test('an empty latent takes the channels of the model', async (t) => {
  const { run } = request({ samples: zeros([1, 16, 4, 4]) })
  t.same((await run()).samples.shape, [1, 4, 4, 4])
})

t.test('what does not fit the model is refused with what to do', async (t) => {
  const wide = prompt(1).map((entry) => ({ ...entry, tokens: zeros([1, 2, 768]) }))
  await t.rejects(request(picture, { positive: wide }).run(), { code: 'node_failed' })
  const { run } = request({ samples: filled([1, 16, 4, 4], 1) })
  await t.rejects(run(), { code: 'node_failed', message: /16 channels/ })
})

t.test('a refusal to go on ends the run', async (t) => {
  const { run, seen } = request(picture, {
    progress: async (step) => {
      if (step === 2) throw new Error('enough')
    },
  })
  await t.rejects(run(), { message: 'enough' })
  t.equal(seen.length, 2)
})

t.test('a model trained down to pure noise begins above the others', async (t) => {
  const first = async (zeroTerminalSnr: boolean) => {
    const asked: number[][] = []
    const { denoiser } = analyticModel('v')
    const predict: typeof denoiser.predict = async (x, timesteps) => {
      asked.push([...timesteps])
      return zeros(x.shape)
    }
    await sampleLatent({
      denoiser: { ...denoiser, zeroTerminalSnr, predict },
      seed: 1,
      steps: 4,
      cfg: 1,
      sampler: 'euler',
      scheduler: 'karras',
      positive: prompt(1),
      negative: prompt(0),
      latent: picture,
      progress: async () => {},
    })
    return asked.flat()
  }
  const [plain, pure] = [await first(false), await first(true)]
  t.equal(plain[0], 999)
  t.equal(pure[0], 999)
  t.ok((pure[1] as number) > (plain[1] as number), `${pure} against ${plain}`)
})

t.test('a broken model does not keep the adaptive sampler busy for ever', async (t) => {
  const { denoiser } = analyticModel()
  const predict = async (x: Latent['samples']) => filled(x.shape, Number.NaN)
  const { run } = request(picture, { sampler: 'dpm_adaptive', denoiser: { ...denoiser, predict } })
  await t.rejects(run(), { code: 'node_failed' })
})

t.test('previews are linear and stay within 0 and 1', async (t) => {
  const latent = { data: Float32Array.of(1, -9, 0, 9, 0.5, 0.5, 9, 9), shape: [2, 2, 1, 2] }
  const factors = [
    [0.25, 1, 0],
    [0, 0.5, 0.125],
  ]
  const found = latentToRgb(latent, { factors, bias: [0.5, 0, 0.25] })
  t.same(found.shape, [1, 1, 2, 3])
  t.same([...found.data], [0.75, 1, 0.25, 0, 0, 1])
})
