/** Runs a built network on the CPU with the session options that the runner uses. */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import type {
  Dialect,
  NetworkGraph,
} from '../../../../src/executors/native/graphs/network-graph.ts'
import { sessionOptions } from '../../../../src/executors/native/sessions/session-options.ts'
import type { Checkpoint } from '../../../../src/models/family.ts'

/** As for providers of which nothing is known, ... */
export const plain: Dialect = {
  attention: 'plain',
  convolution: 'direct',
  activation: 'plain',
  product: 'whole',
  casts: 'plain',
  compute: 'f32',
}
/** ... and as for the CPU. */
export const fused: Dialect = {
  attention: 'fused',
  convolution: 'winograd',
  activation: 'fused',
  product: 'blocked',
  casts: 'apart',
  compute: 'f32',
}

/** For networks that read no weights. */
export const noWeights: Checkpoint = {
  file: { path: '/none.safetensors', fileBytes: 0, tensors: new Map(), metadata: {} },
  family: 'sd1',
  prediction: 'epsilon',
  latentScale: 1,
  latentRgb: null,
}

export async function openGraph(graph: NetworkGraph): Promise<InferenceSession> {
  const options = sessionOptions('cpu', { threads: 1 }, graph.weightsFolder)
  return InferenceSession.create(graph.model, options)
}

/** Feeds the inputs by name and returns the outputs by name. */
export async function runGraph(
  graph: NetworkGraph,
  feeds: { readonly [input: string]: ArrayLike<number> },
): Promise<{ [output: string]: Float32Array }> {
  const session = await openGraph(graph)
  try {
    const inputs = graph.inputs.map(({ name, type, shape }) => {
      const values = feeds[name]
      if (!values) throw new Error(`No values for the input ${name}`)
      const tensor =
        type === 'int64'
          ? new Tensor('int64', BigInt64Array.from(Array.from(values), BigInt), shape)
          : new Tensor('float32', Float32Array.from(values), shape)
      return [name, tensor]
    })
    const results = await session.run(Object.fromEntries(inputs))
    return Object.fromEntries(
      graph.outputs.map(({ name }) => [name, results[name]!.data as Float32Array]),
    )
  } finally {
    await session.release()
  }
}

/** The largest difference in units of the wanted values' root mean square. */
export function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY
  let largest = 0
  let squares = 0
  for (let index = 0; index < wanted.length; index++) {
    const difference = Math.abs((found[index] as number) - (wanted[index] as number))
    // A NaN must not pass for agreement.
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference
    squares += (wanted[index] as number) ** 2
  }
  return largest / Math.sqrt(squares / wanted.length)
}
