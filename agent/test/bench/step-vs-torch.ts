/** Our step against PyTorch's: the same network, weights, inputs and threads, turn by turn. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createModelSessions } from '../../src/executors/native/sessions/model-sessions.ts'
import { testProviders } from '../../src/executors/native/sessions/providers.ts'
import type { Tensor } from '../../src/executors/native/values.ts'
import { type Benchmark, CannotMeasure } from './benchmark.ts'

const program = fileURLToPath(new URL('../../dev/bench/step_torch.py', import.meta.url))

/** Two, for the prompt and for the empty one. */
const BATCH = 2
const SIDE = 64
const ROUNDS = 4

/** Both compute in f32, in different orders. */
const TOLERANCE = 1e-3

export const stepVsTorch: Benchmark = {
  name: 'step-vs-torch',
  unit: 'x',
  target: 1.3,
  better: 'higher',
  about: `PyTorch's step over ours, full-size UNet, 64x64 latents, batch 2, the CPU, best of ${ROUNDS}`,
  async run(bench) {
    const python = findPython()
    const checkpoint = await bench.fullSizeCheckpoint()
    const threads = availableParallelism()
    const ourStep = await openOurs(checkpoint, threads)
    await ourStep()
    const torch = await openTorch(python, checkpoint, threads)
    bench.say(`step-vs-torch: ${torch.version}, ${threads} threads`)
    try {
      let [ours, theirs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
      for (let round = 0; round < ROUNDS; round++) {
        const [mine, other] = [await ourStep(), await torch.step()]
        requireSame(mine.sample, other.sample)
        ours = Math.min(ours, mine.ms)
        theirs = Math.min(theirs, other.ms)
      }
      bench.say(`step-vs-torch: ours ${ours.toFixed()} ms, PyTorch ${theirs.toFixed()} ms`)
      return theirs / ours
    } finally {
      await torch.close()
    }
  },
}

interface Step {
  readonly ms: number
  /** Numbers of the prediction, evenly spread. */
  readonly sample: readonly number[]
}

async function openOurs(path: string, threads: number): Promise<() => Promise<Step>> {
  const settings = { provider: 'cpu', threads } as const
  const silent = { testing: () => {}, tested: () => {} }
  const reports = await testProviders(settings, { known: [], testAll: false }, silent)
  const sessions = createModelSessions(settings, reports)
  const denoiser = await sessions.denoiser({ kind: 'MODEL', path, loras: [] })
  const latent = wave(0.37, [BATCH, 4, SIDE, SIDE])
  const context = wave(0.11, [BATCH, 77, 768])
  return async () => {
    const begun = performance.now()
    const { data } = await denoiser.predict(latent, Array(BATCH).fill(500), context)
    const ms = performance.now() - begun
    const every = Math.floor(data.length / 64)
    return { ms, sample: [...data.filter((_, index) => index % every === 0)] }
  }
}

/** Numbers that both sides can make. */
function wave(rate: number, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1)
  return { data: Float32Array.from({ length }, (_, index) => Math.sin(index * rate)), shape }
}

async function openTorch(python: string, checkpoint: string, threads: number) {
  const argv = [program, checkpoint, '--threads', `${threads}`]
  const child = spawn(python, [...argv, '--batch', `${BATCH}`, '--side', `${SIDE}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async () => {
    const { done, value } = await lines.next()
    if (done) throw new Error(`${program} ended; what it said stands above`)
    return JSON.parse(value)
  }
  const { ready } = (await answer()) as { ready: string }
  return {
    version: ready,
    step: (): Promise<Step> => {
      child.stdin.write('\n')
      return answer()
    },
    close: () => endOf(child),
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.stdin!.end()
  await closed
}

function requireSame(ours: readonly number[], theirs: readonly number[]): void {
  const largest = Math.max(...theirs.map(Math.abs))
  const error = Math.max(...ours.map((value, index) => Math.abs(value - theirs[index]!))) / largest
  if (!(error < TOLERANCE)) throw new Error(`the two networks disagree by ${error}`)
}

/** @throws CannotMeasure */
function findPython(): string {
  const named = process.env.COMFYMESH_PYTHON
  for (const python of named ? [named] : ['python3', 'python']) {
    if (spawnSync(python, ['-c', 'import torch'], { windowsHide: true }).status === 0) return python
  }
  const advice = 'pip install torch, and name that Python with COMFYMESH_PYTHON'
  throw new CannotMeasure(`${named ?? 'python3'} has no PyTorch: ${advice}`)
}
