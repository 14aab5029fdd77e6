/** The beta distribution's quantiles, against closed forms. */
import t from 'tap'
import {
  betaQuantile,
  incompleteBeta,
} from '../../../../src/executors/native/sampling/incomplete-beta.ts'

t.test('the arcsine distribution (a = b = 1/2)', async (t) => {
  for (const p of [0.001, 0.1, 0.25, 0.5, 0.9, 0.999]) {
    const exact = Math.sin((Math.PI * p) / 2) ** 2
    t.ok(Math.abs(betaQuantile(p, 0.5, 0.5) - exact) < 1e-12, `at ${p}`)
  }
})

t.test('powers (b = 1) and the even distribution (a = b = 1)', async (t) => {
  for (const p of [0.01, 0.3, 0.77]) {
    t.ok(Math.abs(betaQuantile(p, 3, 1) - Math.cbrt(p)) < 1e-12)
    t.ok(Math.abs(betaQuantile(p, 1, 1) - p) < 1e-12)
    t.ok(Math.abs(betaQuantile(p, 1, 3) - (1 - Math.cbrt(1 - p))) < 1e-12)
  }
})

t.test('quantile and distribution undo each other', async (t) => {
  for (let p = 0.02; p < 1; p += 0.07) {
    t.ok(Math.abs(incompleteBeta(betaQuantile(p, 0.6, 0.6), 0.6, 0.6) - p) < 1e-12, `at ${p}`)
  }
  t.equal(betaQuantile(0, 0.6, 0.6), 0)
  t.equal(betaQuantile(1, 0.6, 0.6), 1)
  t.equal(betaQuantile(0.5, 0.6, 0.6), 0.5)
})
