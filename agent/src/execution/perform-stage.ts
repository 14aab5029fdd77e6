/** One stage on this machine's device: its inputs brought here, its nodes run, its values kept. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import type { Blob, Output, ValueReference } from '@comfymesh/protocol/value'
import { createTurns } from '../base/turns.ts'
import type { Executor, MadeValue, StageInput } from '../executors/executor.ts'
import type { StageRunOptions } from './stage-run.ts'

/** Of the blob store (store/blobs.ts) what stages need. */
export interface StageBlobs {
  /** Takes over a file, whose chunks have these digests. @throws MeshError `storage_failed` */
  adopt(path: string, blob: Blob, digests: Buffer): Promise<void>
  has(hash: string): boolean
  /** The absolute path of what is here. */
  path(hash: string): string | undefined
  /** Keeps these bytes, also those that come later, until they are released. */
  hold(hashes: Iterable<string>): () => void
}

/**
 * Brings the bytes of values to this machine that are not here yet (tensors/tensors.ts).
 * @throws MeshError `corrupt_value`, `peer_unreachable`, `storage_failed`, `interrupted`
 */
export type FetchValues = (
  values: readonly Pick<ValueReference, 'blob' | 'holders'>[],
  options: { readonly signal: AbortSignal },
) => Promise<{ readonly transferBytes: number }>

export interface PerformModules {
  readonly executor: Pick<Executor, 'run'>
  readonly blobs: StageBlobs
  readonly fetch: FetchValues
  readonly device: Device
  /** Keeps what it makes from the first adopted value on, until its maker has taken note of all. */
  readonly holdMade: (hashes: readonly string[]) => void
  readonly now: () => number
}

/** Does one thing at a time, in the order in which stages are ready for it. */
export interface Device {
  take(signal: AbortSignal): Promise<{ readonly idleSinceMs: number; release(): void }>
}

export function createDevice(now: () => number): Device {
  const takeTurn = createTurns()
  let idleSinceMs = now()
  return {
    async take(signal) {
      const end = await takeTurn(signal)
      return {
        idleSinceMs,
        release() {
          idleSinceMs = now()
          end()
        },
      }
    },
  }
}

/**
 * Inputs are fetched at once, while other stages compute.
 * @param selfId whose values they are.
 * @throws MeshError as StageRuns.run.
 */
export async function performStage(
  selfId: string,
  request: StageRequest,
  { signal, report }: StageRunOptions,
  modules: PerformModules,
): Promise<StageOutcome> {
  const { executor, blobs, device, now } = modules
  const admittedAtMs = now()
  const release = blobs.hold(request.inputs.map(({ blob }) => blob.hash))
  try {
    const { transferBytes } = await modules.fetch(request.inputs, { signal })
    const readyAtMs = now()
    const turn = await device.take(signal)
    const beganAtMs = now()
    // While others compute here, the network costs nothing.
    const transferMs = Math.max(0, readyAtMs - Math.max(admittedAtMs, turn.idleSinceMs))
    const waitMs = beganAtMs - admittedAtMs - transferMs
    try {
      report({ type: 'began' })
      const { stage, jobId } = request
      const { id, nodes, outputs } = stage
      const inputs = request.inputs.map((value) => inputFile(value, blobs))
      const run = { id, nodes, outputs, inputs, jobId }
      const result = await executor.run(run, { signal, report })
      const computeMs = now() - beganAtMs
      const made = await keep(outputs, result.values, selfId, modules)
      const { provider, sessionMs } = result
      const times = { waitMs, transferMs, transferBytes, computeMs, sessionMs }
      return { values: made, ...times, ...(provider !== undefined && { provider }) }
    } finally {
      turn.release()
    }
  } finally {
    release()
  }
}

function inputFile(value: ValueReference, blobs: StageBlobs): StageInput {
  const { nodeId, slot, type, slice, blob } = value
  const path = blobs.path(blob.hash)
  if (path === undefined) throw new MeshError('internal', `The blob ${blob.hash} was not held.`)
  return { nodeId, slot, type, path, ...(slice !== undefined && { slice }) }
}

async function keep(
  wanted: readonly Output[],
  made: readonly MadeValue[],
  selfId: string,
  { blobs, holdMade }: Pick<PerformModules, 'blobs' | 'holdMade'>,
): Promise<ValueReference[]> {
  if (made.length !== wanted.length) {
    const message = `The executor made ${made.length} values where ${wanted.length} were wanted.`
    throw new MeshError('internal', message)
  }
  // Together they may be more than the store likes to keep: the last must not push out the first.
  holdMade(made.map(({ blob }) => blob.hash))
  await Promise.all(made.map(({ path, blob, digests }) => blobs.adopt(path, blob, digests)))
  return made.map(({ path: _, digests: __, ...value }) => ({
    ...value,
    tensors: [...value.tensors],
    holders: [selfId],
  }))
}
