/** Noise levels against ComfyUI's model sampling and schedulers. */
import t from 'tap'
import { discreteSampling } from '../../../../src/executors/native/sampling/model-sampling.ts'
import {
  type SchedulerName,
  schedulerNames,
  sigmasFor,
} from '../../../../src/executors/native/sampling/schedules.ts'
import { goldenDocument, largestDifference } from '../../../goldens.ts'

interface Table {
  readonly sigma_min: number
  readonly sigma_max: number
  readonly sigmas: number[]
  readonly timestep: [number, number][]
  readonly sigma: [number, number][]
  readonly percent_to_sigma: [number, number][]
}
interface Goldens {
  readonly about: { readonly table: Table; readonly zsnr_table: Table }
  readonly cases: {
    readonly scheduler: SchedulerName
    readonly steps: number
    readonly denoise: number
    readonly zsnr?: boolean
    readonly discards_penultimate: boolean
    readonly sigmas: (number | null)[]
  }[]
}

const { about, cases } = goldenDocument<Goldens>('schedules')
const models = {
  plain: discreteSampling(),
  zeroSnr: discreteSampling({ zeroTerminalSnr: true }),
}

/** Differences relative to the wanted values where these exceed 1. */
function relativeDifference(found: ArrayLike<number>, wanted: readonly number[]): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY
  const size = wanted.map((value) => Math.max(1, Math.abs(value)))
  return largestDifference(
    size.map((by, i) => (found[i] as number) / by),
    size.map((by, i) => (wanted[i] as number) / by),
  )
}

for (const [name, sampling, table] of [
  ['plain', models.plain, about.table],
  ['zero terminal SNR', models.zeroSnr, about.zsnr_table],
] as const) {
  t.test(`the table of a ${name} model`, async (t) => {
    t.ok(relativeDifference(sampling.sigmas, table.sigmas) < 1e-6, 'sigmas')
    t.ok(relativeDifference([sampling.sigmaMin], [table.sigma_min]) < 1e-6)
    t.ok(relativeDifference([sampling.sigmaMax], [table.sigma_max]) < 1e-6)
    for (const [sigma, timestep] of table.timestep) {
      t.equal(sampling.timestep(sigma), timestep, `timestep of ${sigma}`)
    }
    for (const [timestep, sigma] of table.sigma) {
      t.ok(relativeDifference([sampling.sigma(timestep)], [sigma]) < 1e-6, `sigma of ${timestep}`)
    }
    for (const [percent, sigma] of table.percent_to_sigma) {
      const found = sampling.percentToSigma(percent)
      t.ok(relativeDifference([found], [sigma]) < 1e-6, `sigma at ${percent}`)
    }
  })
}

for (const scheduler of schedulerNames) {
  t.test(`the scheduler ${scheduler}`, async (t) => {
    const own = cases.filter((c) => c.scheduler === scheduler)
    t.ok(own.length > 20)
    for (const c of own) {
      const found = sigmasFor(c.zsnr ? models.zeroSnr : models.plain, {
        scheduler,
        steps: c.steps,
        denoise: c.denoise,
        discardPenultimate: c.discards_penultimate,
      })
      const name = `${c.steps} steps, denoise ${c.denoise}, ${c.discards_penultimate}, ${c.zsnr}`
      if (c.sigmas.includes(null)) {
        t.ok(found.every(Number.isFinite), `${name}: finite where ComfyUI's are not`)
        continue
      }
      const difference = relativeDifference(found, c.sigmas as number[])
      t.ok(difference < 2e-6, `${name} differs by ${difference}`)
    }
  })
}

t.test('nothing runs at denoise 0', async (t) => {
  const request = { scheduler: 'karras', steps: 9, denoise: 0, discardPenultimate: false } as const
  t.equal(sigmasFor(models.plain, request).length, 0)
})

t.test('every scheduler bears 1 and 10,000 steps', async (t) => {
  for (const scheduler of schedulerNames) {
    for (const steps of [1, 10_000]) {
      const sigmas = sigmasFor(models.plain, {
        scheduler,
        steps,
        denoise: 1,
        discardPenultimate: false,
      })
      t.ok(sigmas.every((sigma, i) => i === 0 || sigma <= (sigmas[i - 1] as number)))
      t.equal(sigmas.at(-1), 0, `${scheduler}, ${steps} steps`)
    }
  }
})
