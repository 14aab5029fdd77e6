/** Which models of the mesh are looked for, and how their kinds are called. Pure. */
import type { MeshModel } from '@comfymesh/protocol/mesh-models'

export interface ModelFilter {
  readonly search: string
  readonly kind: string | null
  /** Only names behind which machines have different files. */
  readonly differing: boolean
}

/** Those with all of the words in their name, kind, family or the names of their machines. */
export function filterModels(
  models: readonly MeshModel[],
  { search, kind, differing }: ModelFilter,
): MeshModel[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return models.filter((model) => {
    if (kind !== null && model.kind !== kind) return false
    if (differing && model.files.length < 2) return false
    const text = textOf(model)
    return words.every((word) => text.includes(word))
  })
}

function textOf({ kind, name, files }: MeshModel): string {
  const parts = files.flatMap(({ family = '', holders }) => [
    family,
    ...holders.map(({ peerName }) => peerName),
  ])
  return [name, kind, kindName(kind), ...parts].join(' ').toLowerCase()
}

const kindNames: { readonly [kind: string]: string } = {
  checkpoints: 'Checkpoint',
  loras: 'LoRA',
  vae: 'VAE',
  embeddings: 'Embedding',
  controlnet: 'ControlNet',
  clip_vision: 'CLIP vision',
  upscale_models: 'Upscaler',
}

/** `diffusion_models` -> `Diffusion models`, where no shorter name is known. */
export function kindName(kind: string): string {
  const words = kind.replaceAll('_', ' ')
  return kindNames[kind] ?? words.charAt(0).toUpperCase() + words.slice(1)
}

/** `a Flux model` as a header says it -> `Flux model`. */
export function familyName(family: string | undefined): string | undefined {
  return family?.replace(/^an? /, '')
}

/** The models that a machine has in memory. */
export function residentNames(models: readonly MeshModel[], peerId: string): string[] {
  return models
    .filter(({ files }) =>
      files.some(({ holders }) => holders.some((one) => one.peerId === peerId && one.resident)),
    )
    .map(({ name }) => name)
}
