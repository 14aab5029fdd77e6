/** All models of the mesh: which machines have a file, and which have it in memory. */
import type { Catalog } from '@comfymesh/protocol/advertisement'
import { displayNames } from '@comfymesh/protocol/ids'
import type { MeshModel, MeshModels, ModelHolder } from '@comfymesh/protocol/mesh-models'
import type { Executor } from '../executors/executor.ts'
import type { ModelCatalog } from '../models/catalog.ts'
import type { PeerOffer } from '../planning/peers.ts'

export interface MeshModelsModules {
  readonly catalog: ModelCatalog
  readonly executor: Pick<Executor, 'openModelFiles'>
  /** What the other members offer. */
  readonly others: () => readonly PeerOffer[]
}

/** The models of one machine. */
export interface HeldModels {
  readonly peerId: string
  readonly peerName: string
  readonly catalog: Catalog
  /** Content identities. */
  readonly resident: ReadonlySet<string>
}

/** Machines whose models are not known are named instead. */
export function createMeshModels(
  self: { readonly peerId: string; readonly name: string },
  { catalog, executor, others }: MeshModelsModules,
): () => Promise<MeshModels> {
  return async () => {
    const own = await catalog.read()
    const open = executor.openModelFiles?.() ?? []
    const offers = others()
    const names = displayNames([self, ...offers.map(({ advertisement }) => advertisement)])
    const here: HeldModels = {
      peerId: self.peerId,
      peerName: names.get(self.peerId)!,
      catalog: own,
      resident: new Set(open.flatMap((path) => catalog.identityOf(path) ?? [])),
    }
    const told = offers.flatMap((offer): HeldModels[] => {
      const { peerId, residentModels } = offer.advertisement
      if (offer.catalog === undefined || offer.absence !== undefined) return []
      const resident = new Set(residentModels)
      return [{ peerId, peerName: names.get(peerId)!, catalog: offer.catalog, resident }]
    })
    const untold = offers.filter(
      ({ advertisement }) => !told.some(({ peerId }) => peerId === advertisement.peerId),
    )
    const unknown = untold.map(({ advertisement, absence = 'its models are not known yet' }) => {
      return { peerName: names.get(advertisement.peerId)!, reason: absence }
    })
    return { models: mergeModels([here, ...told]), unknown }
  }
}

/** One entry a kind and name; a file that several machines have stands there once. Pure. */
export function mergeModels(machines: readonly HeldModels[]): MeshModel[] {
  type File = MeshModel['files'][number]
  const models = new Map<string, Omit<MeshModel, 'files'> & { readonly files: Map<string, File> }>()
  for (const { peerId, peerName, catalog, resident } of machines) {
    for (const model of catalog) {
      const { kind, name, id, ...rest } = model
      const key = `${kind}/${name}`
      const entry = models.get(key) ?? { kind, name, files: new Map<string, File>() }
      models.set(key, entry)
      const holder: ModelHolder = { peerId, peerName, resident: resident.has(id) }
      const file = entry.files.get(id)
      entry.files.set(id, { ...rest, ...file, id, holders: [...(file?.holders ?? []), holder] })
    }
  }
  return [...models.values()]
    .map(({ files, ...model }) => ({ ...model, files: [...files.values()] }))
    .sort((a, b) => a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name))
}
