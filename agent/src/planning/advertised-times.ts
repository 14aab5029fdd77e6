/** What peers tell each other of the times that they have learned. */
import type { Catalog, MeasuredTimes } from '@comfymesh/protocol/advertisement'
import {
  estimateMs,
  type LearnedTimes,
  type TimeSample,
  timedKindOf,
  timeKey,
} from './learned-times.ts'
import { type PeerOffer, plainName } from './peers.ts'

/** So many amounts of work tell how the time grows. */
const MAX_WORKS = 4
/** The kinds that were learned last; a machine runs a few dozen. */
const MAX_TIMES = 500

/**
 * What was learned of a peer, in the words of its advertisement.
 * @param catalog names what the models are; of a model that is not listed nothing is said.
 */
export function advertisedTimes(
  times: ReadonlyMap<string, readonly TimeSample[]>,
  peerId: string,
  catalog: Catalog,
): MeasuredTimes[] {
  const ids = new Map(catalog.map(({ name, id }) => [plainName(name), id]))
  const told: MeasuredTimes[] = []
  for (const [key, samples] of times) {
    const { peerId: of, classType, model } = timedKindOf(key)
    const modelId = ids.get(plainName(model))
    if (of !== peerId || (model !== '' && modelId === undefined)) continue
    const medians = worksOf(samples).map((work) => ({
      work,
      elapsedMs: estimateMs(samples, work)!,
    }))
    told.push({ classType, ...(modelId !== undefined && { modelId }), samples: medians })
  }
  return told.slice(-MAX_TIMES)
}

/** The newest ones. */
function worksOf(samples: readonly TimeSample[]): number[] {
  const works = new Set(samples.toReversed().map(({ work }) => work))
  return [...works].slice(0, MAX_WORKS).reverse()
}

const toldBy = new WeakMap<PeerOffer, ReadonlyMap<string, readonly TimeSample[]>>()

/** What was learned here, and where that is silent what each peer says of itself. */
export function knownTimes(own: LearnedTimes, offers: readonly PeerOffer[]): LearnedTimes {
  const told = new Map(
    offers.flatMap((offer): [string, readonly TimeSample[]][] => {
      const known = toldBy.get(offer) ?? timesToldBy(offer)
      toldBy.set(offer, known)
      return [...known]
    }),
  )
  return { get: (key) => own.get(key) ?? told.get(key) }
}

/** By the names that its models have there: prompts that run there say them. */
function timesToldBy({ advertisement, catalog = [] }: PeerOffer) {
  const { peerId, times } = advertisement
  const names = new Map<string, string[]>()
  for (const { id, name } of catalog) names.set(id, [...(names.get(id) ?? []), plainName(name)])
  const told = new Map<string, readonly TimeSample[]>()
  for (const { classType, modelId, samples } of times) {
    const models = modelId === undefined ? [''] : (names.get(modelId) ?? [])
    for (const model of models) told.set(timeKey({ peerId, classType, model }), samples)
  }
  return told
}
