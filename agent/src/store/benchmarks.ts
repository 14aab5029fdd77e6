/** How fast this machine computes, as it was measured once; kept until something changes. */
import { z } from 'zod'
import type { Database } from './database.ts'

const recordSchema = z.object({
  /** What it was measured on; another machine, provider or version is measured anew. */
  conditions: z.string(),
  gflops: z.number().positive(),
  provider: z.string(),
})

const KEY = 'benchmark'

export interface KeptBenchmark {
  readonly gflops: number
  readonly provider: string
}

export interface Benchmarks {
  /** The one measured under these conditions, if the last one was. */
  get(conditions: string): Promise<KeptBenchmark | undefined>
  /** Takes the place of the one before. @throws MeshError `storage_failed` */
  put(conditions: string, benchmark: KeptBenchmark): Promise<void>
}

export function openBenchmarks(database: Database): Benchmarks {
  return {
    async get(conditions) {
      const text = await database.get(KEY)
      const record = text === undefined ? undefined : recordSchema.safeParse(JSON.parse(text)).data
      if (record?.conditions !== conditions) return undefined
      return { gflops: record.gflops, provider: record.provider }
    },
    async put(conditions, { gflops, provider }) {
      const value = JSON.stringify({ conditions, gflops, provider })
      await database.write([{ type: 'put', key: KEY, value }], {
        what: 'The speed of this machine',
      })
    },
  }
}
