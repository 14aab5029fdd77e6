/** Content identities of model files that were computed before, as long as the files are unchanged. */
import { z } from 'zod'
import type { Database } from './database.ts'

const recordSchema = z.object({ sizeBytes: z.number(), modifiedAtMs: z.number(), id: z.string() })

/** What says that a file is still the same. */
export interface FileState {
  readonly sizeBytes: number
  readonly modifiedAtMs: number
}

export interface ModelIdentities {
  /** The identity of a file in this state, if it is known. */
  get(path: string, state: FileState): Promise<string | undefined>
  /** @throws Error of the database; what was put is computed again then. */
  put(path: string, state: FileState, id: string): Promise<void>
}

export function openModelIdentities(database: Database): ModelIdentities {
  const keyOf = (path: string) => `model-identity/${path}`
  return {
    async get(path, { sizeBytes, modifiedAtMs }) {
      const text = await database.get(keyOf(path))
      const record = text === undefined ? undefined : recordSchema.safeParse(JSON.parse(text)).data
      const isSame = record?.sizeBytes === sizeBytes && record.modifiedAtMs === modifiedAtMs
      return isSame ? record.id : undefined
    },
    async put(path, state, id) {
      await database.put(keyOf(path), JSON.stringify({ ...state, id }))
    },
  }
}
