/** The quantiles of the beta distribution, for the beta scheduler. */

/** Relative accuracy of the continued fraction and width at which bisection ends. */
const ACCURACY = 1e-14

/** Lanczos's approximation of the gamma function's logarithm (g = 7, 9 terms), x > 0. */
function logGamma(x: number): number {
  const terms = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
    1.5056327351493116e-7,
  ] as const
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const shifted = x - 1
  let sum: number = terms[0]
  for (let i = 1; i < terms.length; i++) sum += (terms[i] as number) / (shifted + i)
  const base = shifted + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(sum)
}

/** The continued fraction of DLMF 8.17.22 by Lentz's method; converges fast below the mean. */
function betaFraction(x: number, a: number, b: number): number {
  const guard = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value)
  let c = 1
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m < 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / guard(1 + even * d)
    c = guard(1 + even / c)
    fraction *= c * d
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / guard(1 + odd * d)
    c = guard(1 + odd / c)
    const factor = c * d
    fraction *= factor
    if (Math.abs(factor - 1) < ACCURACY) break
  }
  return fraction
}

/** The regularised incomplete beta function I_x(a, b) (DLMF 8.17), 0 <= x <= 1. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const logFront =
    a * Math.log(x) + b * Math.log1p(-x) - logGamma(a) - logGamma(b) + logGamma(a + b)
  return (Math.exp(logFront) * betaFraction(x, a, b)) / a
}

/** The x at which I_x(a, b) reaches `probability`: scipy.stats.beta.ppf. */
export function betaQuantile(probability: number, a: number, b: number): number {
  if (probability <= 0) return 0
  if (probability >= 1) return 1
  if (probability > 0.5) return 1 - betaQuantile(1 - probability, b, a)
  if (probability === 0.5 && a === b) return 0.5
  let low = 0
  let high = 1
  while (high - low > ACCURACY * high) {
    const middle = (low + high) / 2
    if (incompleteBeta(middle, a, b) < probability) low = middle
    else high = middle
  }
  return (low + high) / 2
}
