/**
 * Whether a provider computes what it should: small random networks made of the
 * operators that our graphs use, against the CPU; and the CPU against plain JavaScript.
 * Drivers that run but answer wrongly exist, and their pictures look almost right.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import {
  attentionGraph,
  attentionReference,
  type Compute,
  operatorsGraph,
  patternOf,
  speedGraph,
  type TestModel,
} from './self-test-graph.ts'
import { sessionOptions } from './session-options.ts'
import type { ProviderName, ProviderReport, SessionSettings } from './settings.ts'

/** Largest error over largest value. TF32, which CUDA uses for float32, keeps 10 bits. */
const MAX_DEVIATION = 5e-3

/** Half precision keeps 10 bits too, but rounds after each operator. */
const MAX_HALF_DEVIATION = 3e-2

/** A card that needs this many times the CPU's time is none, or is not worth the detour. */
const MAX_SLOWDOWN = 1.5

/** Compiling two convolutions and running them takes any real driver less than this. */
const HOPELESS_MS = 5000

/**
 * A device that hands operators back to the CPU copies everything to and fro and is slower
 * than the CPU alone, so its test fails. CUDA and DirectML have all that counts and leave
 * index arithmetic at most.
 */
const WITHOUT_CPU = { disable_cpu_ep_fallback: '1' }
const MAY_SHARE_WITH_CPU: ReadonlySet<ProviderName> = new Set(['cpu', 'cuda', 'directml'])

/** Never throws: what goes wrong is the provider's report. A driver may still end the process. */
export async function testProvider(
  name: ProviderName,
  settings: SessionSettings,
): Promise<ProviderReport> {
  try {
    if (name === 'cpu') {
      await checkCpu(settings)
      const attention = await deviation(name, settings, 'attention', 'float32')
      return { name, ok: true, fusedAttention: attention <= 1e-4, halfPrecision: false }
    }
    const error = await deviation(name, settings, 'operators', 'float32')
    // Most machines lack most providers; only one that runs is worth a second look at the CPU.
    await checkCpu(settings)
    if (!(error <= MAX_DEVIATION)) throw new Error(`its numbers are wrong (error ${error})`)
    if (settings.provider !== name) await checkSpeed(name, settings)
    const halfError = await deviation(name, settings, 'operators', 'float16')
    const halfPrecision = halfError <= MAX_HALF_DEVIATION
    const [compute, limit] = halfPrecision
      ? (['float16', MAX_HALF_DEVIATION] as const)
      : (['float32', MAX_DEVIATION] as const)
    const attentionError = await deviation(name, settings, 'attention', compute)
    return { name, ok: true, fusedAttention: attentionError <= limit, halfPrecision }
  } catch (error) {
    const reason = explain(name, error)
    return { name, ok: false, reason, fusedAttention: false, halfPrecision: false }
  }
}

/**
 * How far a provider's answer is from the CPU's in float32 and plain attention.
 * Infinity where it cannot run the graph; but failing in float32's plain operators throws.
 */
async function deviation(
  name: ProviderName,
  settings: SessionSettings,
  graph: 'operators' | 'attention',
  compute: Compute,
): Promise<number> {
  const [tested, reference] =
    graph === 'operators'
      ? [operatorsGraph(compute), operatorsGraph('float32')]
      : [attentionGraph('fused', compute), attentionGraph('plain', 'float32')]
  try {
    const [actual, expected] = [
      await run(name, settings, tested),
      await run('cpu', settings, reference),
    ]
    return relativeError(actual, expected)
  } catch (error) {
    if (graph === 'operators' && compute === 'float32') throw error
    return Number.POSITIVE_INFINITY
  }
}

/** @throws Error where the provider is clearly slower than the CPU, as software drivers are. */
async function checkSpeed(name: ProviderName, settings: SessionSettings): Promise<void> {
  const [ownMs, cpuMs] = [
    await bestRunMs(name, settings, speedGraph()),
    await bestRunMs('cpu', settings, speedGraph()),
  ]
  if (ownMs <= MAX_SLOWDOWN * cpuMs) return
  const slower = (ownMs / cpuMs).toFixed(1)
  throw new Error(`it is ${slower} times slower than the CPU here, as a software driver would be`)
}

/** Every other comparison leans on the CPU, so the CPU is compared with JavaScript. */
async function checkCpu(settings: SessionSettings): Promise<void> {
  const { model, input, expected } = attentionReference()
  const error = relativeError(await run('cpu', settings, { model, input }), expected)
  if (!(error <= 1e-4)) throw new Error(`the CPU's numbers are wrong (error ${error})`)
}

async function run(
  name: ProviderName,
  settings: SessionSettings,
  { model, input }: TestModel,
): Promise<Float32Array> {
  return withSession(name, settings, model, async (session) => {
    const { y } = await session.run({ x: patternTensor(input) })
    return y!.data as Float32Array
  })
}

/**
 * The faster of two runs after one that compiles; a hopeless one is not repeated.
 * @param beforeRun may end it by throwing.
 */
export async function bestRunMs(
  name: ProviderName,
  settings: SessionSettings,
  { model, input }: TestModel,
  beforeRun: () => Promise<void> = async () => {},
): Promise<number> {
  return withSession(name, settings, model, async (session) => {
    const timedRun = async (): Promise<number> => {
      await beforeRun()
      const startedAt = performance.now()
      await session.run({ x: patternTensor(input) })
      return performance.now() - startedAt
    }
    const firstMs = await timedRun()
    return firstMs > HOPELESS_MS ? firstMs : Math.min(await timedRun(), await timedRun())
  })
}

function patternTensor(shape: readonly number[]): Tensor {
  const elements = shape.reduce((product, side) => product * side, 1)
  return new Tensor('float32', patternOf(elements, 1), shape)
}

async function withSession<T>(
  name: ProviderName,
  settings: SessionSettings,
  model: Uint8Array,
  work: (session: InferenceSession) => Promise<T>,
): Promise<T> {
  const options = sessionOptions(name, settings, '/')
  const strict = { ...options.extra, session: { ...sessionExtra(options), ...WITHOUT_CPU } }
  const session = await InferenceSession.create(model, {
    ...options,
    ...(!MAY_SHARE_WITH_CPU.has(name) && { extra: strict }),
  })
  try {
    return await work(session)
  } finally {
    await session.release()
  }
}

function sessionExtra({ extra }: InferenceSession.SessionOptions): object {
  return (extra?.session as object | undefined) ?? {}
}

/** Not-a-number anywhere makes the error not-a-number, which no limit lets pass. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let error = 0
  let scale = 0
  // Plain loops, here and in patternOf: this runs before the compiler knows it, and a model waits for it.
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs(actual[i]! - expected[i]!))
    scale = Math.max(scale, Math.abs(expected[i]!))
  }
  return error / scale
}

const INSTALL_HINTS: { readonly [name in ProviderName]: string } = {
  cuda: 'needs an NVIDIA card and the CUDA libraries, see the README on CUDA',
  directml: 'needs a DirectX 12 graphics driver',
  coreml: 'needs macOS on Apple silicon',
  webgpu: 'needs a graphics driver with Vulkan (Linux: libvulkan1), DirectX 12 or Metal',
  cpu: 'needs the files of the npm package onnxruntime-node: install again',
}

/** onnxruntime's message without its source lines, and what would help. */
function explain(name: ProviderName, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const short = message.split('\n', 1)[0]!.replace(/^\/onnxruntime_src\S*\s.*?<lambda\(\)>\s*/, '')
  return `${short.slice(0, 200)}; ${INSTALL_HINTS[name]}`
}
