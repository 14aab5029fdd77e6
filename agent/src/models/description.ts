/** What a model file is, in words for people: its family, and why it cannot run where it cannot. */
import { MeshError } from '@comfymesh/protocol/errors'
import { describeCheckpoint } from './family.ts'
import type { ModelKind } from './folders.ts'
import { openSafetensors, type Safetensors } from './safetensors.ts'

export interface ModelDescription {
  /** Absent where the header does not tell. */
  readonly family?: string
  /** Why no executor can run it, and what to do. */
  readonly problem?: string
}

/** Kinds whose networks are known by their tensors; of others only metadata tells. */
const NETWORKS: readonly ModelKind[] = ['checkpoints', 'vae', 'diffusion_models', 'text_encoders']

/** Reads the header alone; never throws for what a file holds. */
export async function describeModel(kind: ModelKind, path: string): Promise<ModelDescription> {
  try {
    const file = await openSafetensors(path)
    if (!NETWORKS.includes(kind)) return saidFamily(file)
    describeCheckpoint(file)
    return { family: 'Stable Diffusion 1.x' }
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    const { is } = error.details
    return { ...(typeof is === 'string' && { family: is }), problem: error.message }
  }
}

/** What trainers write about the model that a LoRA or an embedding is for. */
function saidFamily({ metadata }: Safetensors): ModelDescription {
  const said = metadata['modelspec.architecture'] ?? metadata.ss_base_model_version
  if (said === undefined) return {}
  const known = saidFamilies.find(([pattern]) => pattern.test(said))
  return { family: known?.[1] ?? said.slice(0, 80) }
}

const saidFamilies: readonly (readonly [RegExp, string])[] = [
  [/xl/i, 'Stable Diffusion XL'],
  [/^(sd_v1|stable-diffusion-v1)/i, 'Stable Diffusion 1.x'],
  [/^(sd_v2|stable-diffusion-v2)/i, 'Stable Diffusion 2.x'],
  [/^(sd3|stable-diffusion-v?3)/i, 'Stable Diffusion 3'],
  [/flux/i, 'Flux'],
]
