/** What was learned of how long nodes take, kept over restarts. */
import { parseJson } from '@comfymesh/protocol/json'
import { z } from 'zod'
import {
  learnSample,
  type TimeObservation,
  type TimeSample,
  timeKey,
} from '../planning/learned-times.ts'
import type { Database, Write } from './database.ts'

export interface LearnedTimesStore {
  /** By `timeKey`; those learned last at the end. */
  current(): ReadonlyMap<string, readonly TimeSample[]>
  /** @throws MeshError `storage_failed`; what was learned counts until the process ends all the same. */
  learn(observations: readonly TimeObservation[], atMs: number): Promise<void>
}

/** Kinds that nobody ran for longest go first: models come and go. */
const MAX_KINDS = 5000

const recordSchema = z.object({
  atMs: z.number(),
  samples: z.array(z.object({ work: z.number(), elapsedMs: z.number() })),
})

const PREFIX = 'time/'
const RANGE = { gt: PREFIX, lt: `${PREFIX}\uffff` }

export async function openLearnedTimes(database: Database): Promise<LearnedTimesStore> {
  /** Those learned last at the end. */
  const times = new Map<string, readonly TimeSample[]>()
  const records = (await database.iterator(RANGE).all()).map(([key, text]) => ({
    key: key.slice(PREFIX.length),
    ...recordSchema.parse(parseJson(text)),
  }))
  for (const { key, samples } of records.sort((a, b) => a.atMs - b.atMs)) times.set(key, samples)

  return {
    current: () => times,
    async learn(observations, atMs) {
      const changed = new Set<string>()
      for (const observation of observations) {
        const key = timeKey(observation)
        const samples = learnSample(times.get(key) ?? [], observation)
        times.delete(key)
        times.set(key, samples)
        changed.add(key)
      }
      const excess = [...times.keys()].slice(0, Math.max(0, times.size - MAX_KINDS))
      for (const key of excess) times.delete(key)
      const puts = [...changed].map((key): Write => {
        const value = JSON.stringify({ atMs, samples: times.get(key) })
        return { type: 'put', key: PREFIX + key, value }
      })
      const dels = excess.map((key): Write => ({ type: 'del', key: PREFIX + key }))
      if (puts.length > 0) await database.write([...puts, ...dels], { what: 'What was learned' })
    },
  }
}
