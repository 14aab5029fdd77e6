/** The peers that this agent has met: how they are called and where they were reached last. */
import { type Acquaintance, acquaintanceSchema } from '@comfymesh/protocol/mesh'
import { z } from 'zod'
import type { Database } from './database.ts'

const entrySchema = acquaintanceSchema.extend({ lastSeenAtMs: z.number() })

export type PeerEntry = Acquaintance & { readonly lastSeenAtMs: number }

export interface PeerBook {
  all(): PeerEntry[]
  entry(peerId: string): PeerEntry | undefined
  /** Known at once; on disk soon. What is lost in a crash is heard of again. */
  put(entry: PeerEntry): void
  /** Until what was put is on disk. */
  settled(): Promise<void>
}

const PREFIX = 'peer/'

export async function openPeerBook(
  database: Database,
  warn: (message: string, error?: unknown) => void,
): Promise<PeerBook> {
  const entries = new Map<string, PeerEntry>()
  for await (const text of database.values({ gt: PREFIX, lt: `${PREFIX}\uffff` })) {
    const parsed = entrySchema.safeParse(JSON.parse(text))
    if (parsed.success) entries.set(parsed.data.peerId, parsed.data)
  }
  let writing: Promise<void> = Promise.resolve()
  return {
    all: () => [...entries.values()],
    entry: (peerId) => entries.get(peerId),
    put(entry) {
      entries.set(entry.peerId, entry)
      writing = writing
        .then(() => database.put(PREFIX + entry.peerId, JSON.stringify(entry)))
        .catch((error: unknown) => warn('The address of a peer could not be written down', error))
    },
    settled: () => writing,
  }
}
