/** What lies in the checkpoint folders, as far as headers tell. */
import { stat } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { type Checkpoint, describeCheckpoint } from './family.ts'
import type { ModelFolders } from './folders.ts'
import { openSafetensors } from './safetensors.ts'

export interface ListedCheckpoint {
  /** As a prompt says it, subfolders with forward slashes. */
  readonly name: string
  /** Absolute. */
  readonly path: string
  readonly sizeBytes: number
  /** Absent where no executor here can run it. */
  readonly family?: Checkpoint['family']
  readonly prediction?: Checkpoint['prediction']
  /** The networks inside. */
  readonly parts: readonly ('unet' | 'textEncoder' | 'vae')[]
  /** Why it cannot be used, and what to do. */
  readonly problem?: string
}

export interface CheckpointList {
  /** In the order of their names. A header is read once as long as its file does not change. */
  read(): Promise<ListedCheckpoint[]>
}

type Described = Pick<ListedCheckpoint, 'family' | 'prediction' | 'parts' | 'problem'>

export function createCheckpointList({ folders }: { folders: ModelFolders }): CheckpointList {
  let described = new Map<string, Described>()
  return {
    async read() {
      const kept = new Map<string, Described>()
      const listed: ListedCheckpoint[] = []
      for (const name of folders.list('checkpoints')) {
        const path = folders.find('checkpoints', name)
        const file = path === undefined ? undefined : await stat(path).catch(() => undefined)
        // Gone since it was listed.
        if (path === undefined || file === undefined) continue
        const key = `${path} ${file.size} ${file.mtimeMs}`
        const description = described.get(key) ?? (await describe(path))
        kept.set(key, description)
        listed.push({ name, path, sizeBytes: file.size, ...description })
      }
      described = kept
      return listed
    },
  }
}

async function describe(path: string): Promise<Described> {
  try {
    const checkpoint = describeCheckpoint(await openSafetensors(path))
    const { family, prediction } = checkpoint
    const parts = (['unet', 'textEncoder', 'vae'] as const).filter((part) => checkpoint[part])
    return { family, prediction, parts }
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    return { parts: [], problem: error.message }
  }
}
