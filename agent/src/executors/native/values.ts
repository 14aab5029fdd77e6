/**
 * The values that travel along a prompt's links inside the runner.
 * Tensors are contiguous float32 in the host's memory; handles only name what
 * they stand for, so that loading costs nothing until something runs.
 */

/** A contiguous row-major float32 array. `shape` multiplies to `data.length`. */
export interface Tensor {
  readonly data: Float32Array
  readonly shape: readonly number[]
}

/** Pictures, [batch, height, width, channels], 0 to 1, as ComfyUI's IMAGE. */
export type Image = Tensor

/** Masks, [batch, height, width], 0 to 1, as ComfyUI's MASK. */
export type Mask = Tensor

export interface Latent {
  /** [batch, 4, height / 8, width / 8], unscaled (as ComfyUI's LATENT['samples']). */
  readonly samples: Tensor
  /** [batch or 1, height, width] at any resolution; 1 where new content is wanted. */
  readonly noiseMask?: Tensor
  /** Which draw of the noise each batch entry gets (ComfyUI's batch_index). */
  readonly batchIndex?: readonly number[]
}

export interface ConditioningEntry {
  /** [1, tokens, width]: the text encoder's output. */
  readonly tokens: Tensor
  /** [1, width] */
  readonly pooled?: Tensor
  /** In latent cells (1/8 pixel): height, width, y, x. */
  readonly area?: readonly [height: number, width: number, y: number, x: number]
  readonly strength?: number
  readonly mask?: Mask
  readonly maskStrength?: number
  readonly setAreaToBounds?: boolean
  /** Part of the schedule in which the entry counts, 0 (start) to 1 (end). */
  readonly startPercent?: number
  readonly endPercent?: number
}

export type Conditioning = readonly ConditioningEntry[]

/** A low-rank adaptation applied to a model, at a strength. */
export interface LoraApplication {
  /** Absolute path of a .safetensors file. */
  readonly path: string
  readonly strength: number
}

/** A denoising model: a checkpoint's UNet with the LoRAs on it. */
export interface ModelHandle {
  readonly kind: 'MODEL'
  /** Absolute path of a .safetensors file. */
  readonly path: string
  readonly loras: readonly LoraApplication[]
}

/** A text encoder: a checkpoint's CLIP with the LoRAs on it. */
export interface ClipHandle {
  readonly kind: 'CLIP'
  readonly path: string
  readonly loras: readonly LoraApplication[]
  /** -1 the last layer, -2 the one before it, ... (CLIPSetLastLayer). */
  readonly lastLayer: number
}

/** An image autoencoder: of a checkpoint, or a file of its own. */
export interface VaeHandle {
  readonly kind: 'VAE'
  /** Absolute path of a .safetensors file; null for none, where latents are the pixels themselves. */
  readonly path: string | null
}

/** The type names of sockets and what they carry. */
export interface ValueTypes {
  MODEL: ModelHandle
  CLIP: ClipHandle
  VAE: VaeHandle
  CONDITIONING: Conditioning
  LATENT: Latent
  IMAGE: Image
  MASK: Mask
  INT: number
  FLOAT: number
  STRING: string
  BOOLEAN: boolean
}
