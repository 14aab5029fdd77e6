/** The models of this machine with what tells them apart; computed once a file, in the background. */
import { stat } from 'node:fs/promises'
import type { Catalog, CatalogModel } from '@comfymesh/protocol/advertisement'
import type { ModelIdentities } from '../store/model-identities.ts'
import { contentIdentity } from './content-identity.ts'
import { describeModel, type ModelDescription } from './description.ts'
import { type ModelFolders, type ModelKind, modelKinds } from './folders.ts'

export interface ModelCatalog {
  /** The models of this moment; files that cannot be read or are broken are left out. */
  read(): Promise<Catalog>
  /** Of the file at an absolute path, as it was read last. */
  identityOf(path: string): string | undefined
}

export function createModelCatalog(modules: {
  readonly folders: Pick<ModelFolders, 'list' | 'find'>
  readonly identities: ModelIdentities
}): ModelCatalog {
  const { folders, identities } = modules
  const idsByPath = new Map<string, string>()
  /** By content identity: equal files are described once. */
  const descriptions = new Map<string, ModelDescription>()

  async function entryOf(kind: ModelKind, name: string): Promise<CatalogModel | undefined> {
    const path = folders.find(kind, name)
    if (path === undefined) return undefined
    try {
      const { size: sizeBytes, mtimeMs: modifiedAtMs } = await stat(path)
      const state = { sizeBytes, modifiedAtMs }
      const known = await identities.get(path, state)
      const id = known ?? (await contentIdentity(path))
      if (known === undefined) await identities.put(path, state, id)
      idsByPath.set(path, id)
      const description = descriptions.get(id) ?? (await describeModel(kind, path))
      descriptions.set(id, description)
      return { kind, name, id, sizeBytes, ...description }
    } catch {
      // It is being copied, or it is broken: `doctor` says so, and nobody can run it.
      return undefined
    }
  }

  return {
    async read() {
      const catalog: CatalogModel[] = []
      // One after the other: what reads from the disk for a prompt comes first.
      for (const kind of Object.keys(modelKinds) as ModelKind[]) {
        for (const name of folders.list(kind)) {
          const entry = await entryOf(kind, name)
          if (entry !== undefined) catalog.push(entry)
        }
      }
      return catalog
    },
    identityOf: (path) => idsByPath.get(path),
  }
}
