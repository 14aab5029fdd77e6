/**
 * How long nodes take, learned from those that ran: for each peer, node class and model a few
 * recent samples. Plain data; where it is kept is the store's business, and who asks, anybody's.
 */

/** What a time depends on. The peer is part of it: another machine has other times. */
export interface TimedKind {
  readonly peerId: string
  readonly classType: string
  /** File name of the model that the node uses; '' for none. */
  readonly model: string
}

export interface TimeSample {
  /** How much was to do, in the units of node-work.ts. */
  readonly work: number
  readonly elapsedMs: number
}

export interface TimeObservation extends TimedKind, TimeSample {}

/** Samples by `timeKey`, the oldest first. */
export type LearnedTimes = Pick<ReadonlyMap<string, readonly TimeSample[]>, 'get'>

/** Enough for a median that one cold start does not move; few enough to follow a new driver. */
const MAX_SAMPLES = 12

export function timeKey({ peerId, classType, model }: TimedKind): string {
  return JSON.stringify([peerId, classType, model])
}

/** What a `timeKey` stands for. */
export function timedKindOf(key: string): TimedKind {
  const [peerId, classType, model] = JSON.parse(key) as [string, string, string]
  return { peerId, classType, model }
}

/** The samples of a kind after another one. */
export function learnSample(
  samples: readonly TimeSample[],
  { work, elapsedMs }: TimeSample,
): TimeSample[] {
  return [...samples, { work, elapsedMs }].slice(-MAX_SAMPLES)
}

/**
 * How long a node of this kind will take: the median of the times for just as much work, or
 * else of the speeds. Undefined where that peer never ran such a node.
 * @param guessMs counts as one more time, where a guess is good: so it takes two runs to say that a
 *   node takes long which should not, and one on a busy machine says nothing.
 */
export function estimateNodeMs(
  times: LearnedTimes,
  node: TimedKind & { readonly work: number },
  guessMs?: number,
): number | undefined {
  return estimateMs(times.get(timeKey(node)) ?? [], node.work, guessMs)
}

/** The same from the samples of one kind. */
export function estimateMs(
  samples: readonly TimeSample[],
  ofWork: number,
  guessMs?: number,
): number | undefined {
  if (samples.length === 0) return undefined
  const same = samples.filter(({ work }) => work === ofWork)
  const alike = same.length > 0 ? same : samples
  const times = alike.map(({ work, elapsedMs }) => elapsedMs * (ofWork / work))
  return median(guessMs === undefined ? times : [...times, guessMs])
}

/** Of an even number the lower one of the middle: what disturbs a measurement only ever adds to it. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1]!
}
