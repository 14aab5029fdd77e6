/**
 * What the three networks share: build the graph for a shape, find or open its
 * session, run it, and get by with less when memory runs out.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { Checkpoint } from '../../../models/family.ts'
import type { BuildOptions, Dialect, NetworkGraph } from '../graphs/network-graph.ts'
import type { LoraApplication, Tensor } from '../values.ts'
import type { ModelFiles } from './model-files.ts'
import { type Feeds, openSession, type Session, type SessionClock } from './open-session.ts'
import type { Releasable, SessionCache } from './session-cache.ts'
import type { ProviderName, ProviderReport, SessionSettings } from './settings.ts'

/** What networks are made of; model-sessions.ts puts it together. */
export interface NetworkModules {
  readonly settings: SessionSettings
  readonly provider: ProviderReport
  readonly files: ModelFiles
  readonly sessions: SessionCache<Session>
  readonly clock: SessionClock
  /** What all sessions together may hold. */
  readonly budgetBytes: number
}

export interface NetworkRun {
  /** Names the graph among those of the same model: its kind and every number that shapes it. */
  readonly graphKey: string
  readonly peakBytes: number
  build(options: BuildOptions): NetworkGraph
  readonly feeds: Feeds
}

/** A model file with the LoRAs on it, ready to run graphs. */
export interface Network {
  readonly checkpoint: Checkpoint
  /** @throws MeshError `out_of_memory` when it does not fit even with all else released. */
  run(run: NetworkRun): Promise<{ readonly [port: string]: Tensor }>
}

export interface NetworkOptions {
  readonly loras?: readonly LoraApplication[]
  /**
   * Whether half precision is good enough, where the provider has it. For the UNet it is,
   * as in ComfyUI; autoencoders are known to overflow in it.
   */
  readonly halfPrecision?: boolean
  /**
   * Whether convolutions may take more memory to be faster, where the provider gains by it.
   * The UNet runs many times on small pictures; the autoencoder's are too large for it.
   */
  readonly fastConvolution?: boolean
}

/** What suits the providers apart from what their self-tests told; others fuse graphs themselves. */
const suitable: {
  readonly [name in ProviderName]?: Partial<Omit<Dialect, 'attention' | 'compute'>>
} = {
  // Its convolutions do what is written, and its sessions open without optimizing the graph.
  cpu: { convolution: 'winograd', activation: 'fused', product: 'blocked', casts: 'apart' },
}

/** @throws MeshError `not_found`, `malformed_file`, `unsupported_model` */
export async function openNetwork(
  modules: NetworkModules,
  path: string,
  { loras: applications = [], ...allowed }: NetworkOptions = {},
): Promise<Network> {
  const { files, sessions, settings, provider, clock } = modules
  const checkpoint = await files.checkpoint(path)
  const loras = await Promise.all(applications.map(({ path }) => files.lora(path, checkpoint)))
  const strengths = Float32Array.from(applications, ({ strength }) => strength)
  const buildOptions: BuildOptions = {
    dialect: dialectOf(provider, allowed),
    ...(loras.length > 0 && { loras: loras.map(({ content }) => content) }),
  }
  const key = [provider.name, checkpoint.identity, ...loras.map(({ identity }) => identity)]
  const strengthFeed: Feeds =
    loras.length > 0 ? { lora_strengths: { data: strengths, shape: [loras.length] } } : {}
  return {
    checkpoint: checkpoint.content,
    run: ({ graphKey, peakBytes, build, feeds }) => {
      const entry = {
        key: [graphKey, ...key].join('\n'),
        peakBytes,
        source: path,
        open: () => openSession(build(buildOptions), provider.name, settings, clock),
      }
      return retryAlone(sessions, () =>
        sessions.use(entry, (session) => session.run({ ...feeds, ...strengthFeed })),
      )
    },
  }
}

function dialectOf(
  provider: ProviderReport,
  { halfPrecision = false, fastConvolution = false }: NetworkOptions,
): Dialect {
  const half = halfPrecision && provider.halfPrecision
  // The fused operator was tested in the best precision, so it is trusted in no other.
  const fused = provider.fusedAttention && half === provider.halfPrecision
  const {
    convolution = 'direct',
    activation = 'plain',
    product = 'whole',
    casts = 'plain',
  } = suitable[provider.name] ?? {}
  return {
    attention: fused ? 'fused' : 'plain',
    convolution: fastConvolution ? convolution : 'direct',
    activation,
    product,
    casts,
    compute: half ? 'f16' : 'f32',
  }
}

/** Runs once more with every session released, should memory have run out. */
export async function retryAlone<T>(
  sessions: Pick<SessionCache<Releasable>, 'clear'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isOutOfMemory(error)) throw error
    await sessions.clear()
  }
  try {
    return await work()
  } catch (error) {
    if (isOutOfMemory(error)) await sessions.clear()
    throw error
  }
}

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof MeshError && error.code === 'out_of_memory'
}
