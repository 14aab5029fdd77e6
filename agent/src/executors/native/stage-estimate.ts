/** How much memory a stage will need, from model headers and picture sizes; nothing is loaded. */
import type { ModelFolders, ModelKind } from '../../models/folders.ts'
import type { Stage, StageEstimate, StageNode } from '../executor.ts'
import { autoencoderBytes, unetBytes } from './sessions/memory.ts'
import type { ModelFiles } from './sessions/model-files.ts'

/** The inputs by which nodes name model files. */
const modelInputs: readonly (readonly [input: string, kind: ModelKind])[] = [
  ['ckpt_name', 'checkpoints'],
  ['unet_name', 'diffusion_models'],
  ['clip_name', 'text_encoders'],
  ['vae_name', 'vae'],
  ['lora_name', 'loras'],
]

/** Of a picture whose size no node says, as when it is loaded: that of most prompts. */
const USUAL_SIDE = 512

/**
 * Weights of every file the stage names, and the activations of the larger of UNet and
 * autoencoder at the largest picture. A file that cannot be read counts nothing: the run
 * will say what is wrong with it.
 */
export async function estimateStage(
  stage: Stage,
  folders: ModelFolders,
  files: ModelFiles,
): Promise<StageEstimate> {
  const pixels = Math.max(...stage.nodes.map(pixelsOf), 0) || USUAL_SIDE * USUAL_SIDE
  const batch = Math.max(...stage.nodes.map(({ inputs }) => numberOf(inputs.batch_size) ?? 1), 1)
  let weightBytes = 0
  let activationBytes = 0
  for (const path of modelPaths(stage, folders)) {
    const checkpoint = await files.checkpoint(path).catch(() => undefined)
    if (checkpoint === undefined) continue
    const { file, unet, vae } = checkpoint.content
    weightBytes += file.fileBytes
    const side = Math.ceil(Math.sqrt(pixels) / (vae?.downscale ?? 8))
    const size = { height: side, width: side }
    if (unet) activationBytes = Math.max(activationBytes, unetBytes(file, unet)({ batch, ...size }))
    if (vae) activationBytes = Math.max(activationBytes, autoencoderBytes(vae, size))
  }
  return { memoryBytes: Math.ceil(weightBytes + activationBytes) }
}

function modelPaths(stage: Stage, folders: ModelFolders): ReadonlySet<string> {
  const paths = stage.nodes.flatMap(({ inputs }) =>
    modelInputs.map(([input, kind]) => {
      const name = inputs[input]
      return typeof name === 'string' ? folders.find(kind, name) : undefined
    }),
  )
  return new Set(paths.filter((path) => path !== undefined))
}

function pixelsOf({ inputs }: StageNode): number {
  return (numberOf(inputs.width) ?? 0) * (numberOf(inputs.height) ?? 0)
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
