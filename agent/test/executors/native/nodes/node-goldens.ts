/** Runs nodes on the inputs of goldens/image_nodes.json and compares what they answer. */
import type { Test } from 'tap'
import type { Autoencoder } from '../../../../src/executors/native/models.ts'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import type { Latent, Tensor } from '../../../../src/executors/native/values.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'
import { ruleValues } from '../../../models/model-files.ts'

interface Given {
  readonly kind: 'noise' | 'ramp'
  readonly name: string
  readonly shape: readonly number[]
  readonly low: number
  readonly high: number
}

type Described<T> =
  | { readonly constant: unknown }
  | { readonly tensor: T }
  | { readonly latent: { readonly [key: string]: Described<T> } }

interface Case {
  readonly name: string
  readonly node: string
  readonly inputs: { readonly [name: string]: Described<Given> }
  readonly outputs: readonly Described<string>[]
}

const cases = goldenCases<Case>('image_nodes')
const stored = goldenTensors('image_nodes')

/** Float32 sums in another order than PyTorch's. */
const TOLERANCE = 2e-5

/** Runs every case of these nodes. */
export function compareWithGoldens(t: Test, nodes: readonly string[], context = idleContext): void {
  for (const golden of cases.filter(({ node }) => nodes.includes(node))) {
    t.test(describeCase(golden), async (t) => {
      const inputs = mapValues(golden.inputs, (input) => resolve(input, make))
      const { outputs } = await nodeRows.get(golden.node)!.run({ ...inputs, vae: 'vae' }, context)
      t.equal(outputs.length, golden.outputs.length, 'as many outputs')
      for (const [i, described] of golden.outputs.entries()) {
        compare(t, outputs[i], resolve(described, stored), `output ${i}`)
      }
    })
  }
  for (const node of nodes) {
    if (!cases.some((golden) => golden.node === node)) t.fail(`no golden of ${node}`)
  }
}

/** A context without models, of a stage that nobody cancels. */
export const idleContext: NodeContext = {
  nodeId: '1',
  models: {} as NodeContext['models'],
  folders: {} as NodeContext['folders'],
  progress: async () => {},
  warn: () => {},
  throwIfCancelled: async () => {},
}

export function contextWith(autoencoder: Autoencoder): NodeContext {
  const models = { autoencoder: async () => autoencoder } as unknown as NodeContext['models']
  return { ...idleContext, models }
}

function describeCase({ name, inputs }: Case): string {
  const constants = Object.entries(inputs).flatMap(([key, input]) => {
    return 'constant' in input ? [`${key} ${input.constant}`] : []
  })
  return [name, ...constants].join(', ')
}

function mapValues<A, B>(entries: { readonly [key: string]: A }, change: (value: A) => B) {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, change(value)]))
}

function resolve<T>(described: Described<T>, tensorOf: (reference: T) => Tensor): unknown {
  if ('constant' in described) return described.constant
  if ('tensor' in described) return tensorOf(described.tensor)
  const entries = mapValues(described.latent, (entry) => resolve(entry, tensorOf))
  const { samples, noise_mask, batch_index } = entries as { [key: string]: Tensor }
  return {
    samples,
    ...(noise_mask && { noiseMask: withoutChannel(noise_mask) }),
    ...(batch_index && { batchIndex: batch_index }),
  }
}

/** ComfyUI's masks of latents may have a channel axis; ours never have. */
export function withoutChannel({ data, shape }: Tensor): Tensor {
  return { data, shape: shape.length === 4 ? shape.toSpliced(1, 1) : shape }
}

function make({ kind, name, shape, low, high }: Given): Tensor {
  const count = shape.reduce((product, side) => product * side, 1)
  if (kind === 'ramp') return { data: ramp(shape, count), shape }
  const scale = (high - low) / 2 / Math.sqrt(3)
  return { data: ruleValues(name, count, scale, (low + high) / 2), shape }
}

/** ramp() of dev/goldens/make_image_nodes.py. */
function ramp(shape: readonly number[], count: number): Float32Array {
  const [, height, width, channels] = shape as [number, number, number, number]
  return Float32Array.from({ length: count }, (_, i) => {
    const c = i % channels
    const x = Math.floor(i / channels) % width
    const y = Math.floor(i / channels / width) % height
    const b = Math.floor(i / channels / width / height)
    const wave = ((3 * y) / height + ((1 + c) * 2 * x) / width + b / 3) % 2
    return Math.floor((1 - Math.abs(wave - 1)) * 255) / 255
  })
}

export function compare(t: Test, found: unknown, wanted: unknown, what: string): void {
  if (isTensor(wanted)) {
    const tensor = found as Tensor
    t.same(tensor.shape, wanted.shape, `${what}: shape`)
    const difference = largestDifference(tensor.data, wanted.data)
    t.ok(difference <= TOLERANCE, `${what}: off by ${difference}`)
    return
  }
  const latent = found as Latent
  for (const [key, value] of Object.entries(wanted as Latent)) {
    if (isTensor(value)) compare(t, latent[key as keyof Latent], value, `${what}.${key}`)
    else t.same(latent[key as keyof Latent], value, `${what}.${key}`)
  }
  t.same(Object.keys(latent).sort(), Object.keys(wanted as Latent).sort(), `${what}: entries`)
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'shape' in value
}
