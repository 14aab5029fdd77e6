/** What a benchmark is, and how its figure is told. The table of them is benchmarks.ts. */

export interface Benchmark {
  readonly name: string
  readonly unit: string
  readonly target: number
  readonly better: 'lower' | 'higher'
  /** What is measured, in a line. */
  readonly about: string
  /** @throws CannotMeasure where this machine lacks what it takes. */
  run(bench: Bench): Promise<number>
}

/** What the benchmarks of one call share. */
export interface Bench {
  /** A full-size Stable Diffusion 1.5 checkpoint in half precision, made when first asked for. */
  fullSizeCheckpoint(): Promise<string>
  /** A new, empty folder. */
  newFolder(): string
  /** Makes something once, however many benchmarks need it. */
  once<T>(key: string, make: () => Promise<T>): Promise<T>
  /** Tells whoever waits what is going on. */
  say(line: string): void
}

/** Not a failure: this machine cannot tell, and the message says what it would take. */
export class CannotMeasure extends Error {}

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly target: number
  readonly better: 'lower' | 'higher'
  readonly holds: boolean
}

export function figureOf({ name, unit, target, better }: Benchmark, measured: number): Figure {
  const value = Number(measured.toPrecision(4))
  const holds = better === 'lower' ? value < target : value > target
  return { name, value, unit, target, better, holds }
}

/** One line of the readable table; its columns fit the longest name and figures. */
export function figureLine({ name, value, unit, target, better, holds }: Figure): string {
  const limit = `${better === 'lower' ? 'below' : 'above'} ${target} ${unit}`
  const measured = `${value} ${unit}`
  return `${holds ? '✓' : '✗'} ${name.padEnd(18)}${measured.padEnd(16)}${limit}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[middle - (1 - (sorted.length % 2))], sorted[middle]]
  if (low === undefined || high === undefined) throw new RangeError('nothing has no median')
  return (low + high) / 2
}
