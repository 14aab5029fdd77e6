/**
 * The only file that speaks to onnxruntime when a network runs: opens a session
 * over a generated graph, counts the time inside it, and names its errors.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { NetworkGraph } from '../graphs/network-graph.ts'
import { isOutOfMemory, outOfMemory } from '../out-of-memory.ts'
import type { Tensor } from '../values.ts'
import { sessionOptions } from './session-options.ts'
import type { ProviderName, SessionSettings } from './settings.ts'

/** What a graph is fed with: values, or indices where the port is int64. */
export interface Feeds {
  readonly [port: string]:
    | Tensor
    | { readonly data: BigInt64Array; readonly shape: readonly number[] }
}

export interface Session {
  /** @throws MeshError `out_of_memory`; anything else that onnxruntime throws as it comes. */
  run(feeds: Feeds): Promise<{ readonly [port: string]: Tensor }>
  /** Gives the memory back; the session is of no use afterwards. */
  release(): Promise<void>
}

/** Adds up the time inside session runs, in milliseconds. */
export interface SessionClock {
  elapsedMs: number
}

/** @throws MeshError `out_of_memory`, `malformed_file` where the weights are not what the header says. */
export async function openSession(
  graph: NetworkGraph,
  provider: ProviderName,
  settings: SessionSettings,
  clock: SessionClock,
): Promise<Session> {
  const options = sessionOptions(provider, settings, graph.weightsFolder)
  const session = await InferenceSession.create(graph.model, options).catch(throwNamed)
  return {
    run: async (feeds) => {
      const inputs = mapped(feeds, ortTensor)
      const startedAt = performance.now()
      const outputs = await session.run(inputs).catch(throwNamed)
      clock.elapsedMs += performance.now() - startedAt
      return mapped(outputs, plainTensor)
    },
    release: () => session.release(),
  }
}

function ortTensor({ data, shape }: Feeds[string]): OrtTensor {
  return data instanceof BigInt64Array
    ? new OrtTensor('int64', data, shape)
    : new OrtTensor('float32', data, shape)
}

function plainTensor({ data, dims }: OrtTensor): Tensor {
  if (!(data instanceof Float32Array)) throw new TypeError('networks answer in float32')
  return { data, shape: dims }
}

/** The same ports with other values. */
function mapped<From, To>(ports: { readonly [port: string]: From }, to: (value: From) => To) {
  const result: { [port: string]: To } = {}
  for (const port in ports) result[port] = to(ports[port]!)
  return result
}

function throwNamed(error: unknown): never {
  throw isOutOfMemory(error) ? outOfMemory(error) : error
}
