/**
 * `npm run bench -- [name ...] [--json]`: measures and tells. With --json one line a figure on
 * standard output; everything else goes to standard error.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Bench, type Benchmark, CannotMeasure, figureLine, figureOf } from './benchmark.ts'
import { benchmarks } from './benchmarks.ts'
import { writeFullSizeCheckpoint } from './full-size-checkpoint.ts'

const say = (line: string) => console.error(line)

/** The benchmarks of these names, or all. @throws Error naming what there is. */
function choose(names: readonly string[]): readonly Benchmark[] {
  const unknown = names.find((name) => !benchmarks.some((one) => one.name === name))
  if (unknown !== undefined) {
    const known = benchmarks.map(({ name }) => name).join(', ')
    throw new Error(`There is no benchmark '${unknown}'. There are: ${known}.`)
  }
  return names.length === 0 ? benchmarks : benchmarks.filter(({ name }) => names.includes(name))
}

/** @param folder removed by the caller afterwards. */
function createBench(folder: string): Bench {
  const made = new Map<string, Promise<unknown>>()
  const once = <T>(key: string, make: () => Promise<T>): Promise<T> => {
    const value = made.get(key) ?? make()
    made.set(key, value)
    return value as Promise<T>
  }
  return {
    say,
    once,
    newFolder: () => mkdtempSync(join(folder, 'data-')),
    fullSizeCheckpoint: () =>
      once('checkpoint', async () => {
        const given = process.env.COMFYMESH_BENCH_CHECKPOINT
        if (given !== undefined) return given
        say('writing a random checkpoint of 2 GB ...')
        const checkpoints = join(folder, 'models', 'checkpoints')
        mkdirSync(checkpoints, { recursive: true })
        const path = join(checkpoints, 'full-size-f16.safetensors')
        await writeFullSizeCheckpoint(path)
        return path
      }),
  }
}

/** Measures one after the other. @returns false where one failed. */
async function measure(chosen: readonly Benchmark[], asJson: boolean): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'comfymesh-bench-'))
  // Also when it is cancelled; agents notice by themselves that nobody is there any more.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const bench = createBench(folder)
  let isFine = true
  for (const benchmark of chosen) {
    say(`${benchmark.name}: ${benchmark.about} ...`)
    try {
      const figure = figureOf(benchmark, await benchmark.run(bench))
      console.log(asJson ? JSON.stringify(figure) : figureLine(figure))
    } catch (error) {
      const isSkip = error instanceof CannotMeasure
      isFine &&= isSkip
      say(`${benchmark.name}: ${isSkip ? 'skipped' : 'failed'}: ${(error as Error).message}`)
    }
  }
  return isFine
}

try {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  })
  const isFine = await measure(choose(positionals), values.json)
  process.exitCode = isFine ? 0 : 1
} catch (error) {
  say((error as Error).message)
  process.exitCode = 2
}
