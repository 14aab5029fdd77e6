/** Who failed a job, and what follows from it: who is to blame, and who takes no further part. */
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import type { ValueReference } from '@comfymesh/protocol/value'

export interface Failure {
  /** The peer that the stage ran on. */
  readonly peerId: string
  readonly error: MeshError
  readonly inputs: readonly ValueReference[]
}

export interface Faults {
  /** @returns the peer that is to blame. */
  add(failure: Failure): string
  /** Values that are there again, whatever became of them before. */
  made(values: readonly ValueReference[]): void
  /** Everybody who failed the job, each with the reason. */
  failed(): ReadonlyMap<string, string>
  /** Those who are not even asked when nobody else is left. */
  barred(): ReadonlyMap<string, string>
  /** Whether a peer may still be asked for a value. */
  isHolder(peerId: string, hash: string): boolean
}

/** How often a peer may fail a job. Finite, as the peers are: so no job is tried for ever. */
const MAX_FAILURES = 2

/**
 * Failures that the same peer would meet again, but another perhaps not: it lacks something, or
 * does not do what it says. All others that are not retryable are the prompt's own.
 */
const ofThePeer = new Set<ErrorCode>([
  'peer_incompatible',
  'no_peer',
  'not_found',
  'malformed_file',
  'unsupported_model',
  'internal',
])

/** Whether the job may succeed where it is not the same peer, or the same a second time. */
export function mayTryElsewhere({ code, retryable }: MeshError): boolean {
  return retryable || ofThePeer.has(code)
}

/** @param attempts of the job so far, before a restart or a pause: their failures count. */
export function createFaults(attempts: readonly StageAttempt[] = []): Faults {
  const counts = new Map<string, number>()
  const reasons = new Map<string, string>()
  /** Whom each peer said to have handed out wrong bytes. */
  const accused = new Map<string, Set<string>>()
  const lost = new Set<string>()
  /** How often each value was gone though nobody did wrong. */
  const losses = new Map<string, number>()

  function blame(peerId: string, error: MeshError): string {
    const weight = error.retryable ? 1 : MAX_FAILURES
    counts.set(peerId, (counts.get(peerId) ?? 0) + weight)
    reasons.set(peerId, `failed this job: ${error.message.replace(/\.$/, '')}`)
    return peerId
  }

  for (const { error, blamedPeerId } of attempts) {
    // A disk that was full may be this machine's own.
    if (error === undefined || blamedPeerId === undefined || error.code === 'storage_failed')
      continue
    blame(blamedPeerId, MeshError.fromReport(error))
  }

  /** Evicted, or cleared away: its maker is asked again, but not for ever. */
  function isForgivable(hash: string): boolean {
    const times = (losses.get(hash) ?? 0) + 1
    losses.set(hash, times)
    return times <= MAX_FAILURES
  }

  const withCount = (least: number) =>
    new Map([...reasons].filter(([peerId]) => counts.get(peerId)! >= least))

  return {
    add({ peerId, error, inputs }) {
      const value = missingInput(error, inputs)
      if (value === undefined) return blame(peerId, error)
      const { holder, hash, without } = value
      for (const key of without) lost.add(key)
      if (error.code === 'value_lost' && isForgivable(hash)) return holder
      const named = accused.get(peerId) ?? new Set()
      accused.set(peerId, named.add(holder))
      // Who finds fault with one after the other is more likely at fault itself.
      if (named.size >= MAX_FAILURES) blame(peerId, error)
      return blame(holder, error)
    },
    made(values) {
      for (const { blob, holders } of values)
        for (const holder of holders) lost.delete(keyOf(holder, blob.hash))
    },
    failed: () => withCount(1),
    barred: () => withCount(MAX_FAILURES),
    isHolder: (peerId, hash) =>
      (counts.get(peerId) ?? 0) < MAX_FAILURES && !lost.has(keyOf(peerId, hash)),
  }
}

/**
 * Whom an error about an input puts in the wrong, and which peers have lost which value by it. Only
 * those that hold an input can be named.
 */
function missingInput(error: MeshError, inputs: readonly ValueReference[]) {
  const { peerId, hash, nodeId, slot } = error.details
  if (error.code === 'value_lost')
    return goneEverywhere(inputs.find(({ blob }) => blob.hash === hash))
  if (error.code !== 'corrupt_value' && error.code !== 'peer_unreachable') return undefined
  // The bytes are those that were announced, and no such value: they are so wherever they lie.
  const damaged = inputs.find((one) => one.nodeId === nodeId && one.slot === slot)
  if (damaged !== undefined) return goneEverywhere(damaged)
  const held = inputs.filter(({ holders }) => holders.some((holder) => holder === peerId))
  if (typeof peerId !== 'string' || held.length === 0) return undefined
  const named = held.filter(({ blob }) => blob.hash === hash)
  const values = named.length > 0 ? named : held
  const without = values.map(({ blob }) => keyOf(peerId, blob.hash))
  return { holder: peerId, hash: values[0]!.blob.hash, without }
}

function goneEverywhere(value: ValueReference | undefined) {
  if (value === undefined) return undefined
  const { hash } = value.blob
  return { holder: value.holders[0]!, hash, without: value.holders.map((one) => keyOf(one, hash)) }
}

const keyOf = (peerId: string, hash: string) => `${peerId} ${hash}`

/**
 * The true reason of a job that nobody is left for: what each attempt met.
 * @param refusal why the planner found nobody.
 */
export function exhausted(last: MeshError, refusal: MeshError, peers: number): MeshError {
  if (peers < 2) return last
  const message = `${last.message} Nobody else can take over: ${refusal.message}`
  const details = { ...last.details, rejected: refusal.details.rejected ?? [] }
  return new MeshError(last.code, message, { details })
}
