/**
 * The three networks of a diffusion model as the nodes see them.
 * sessions/ implements them with onnxruntime; samplers and nodes know only this.
 */
import type { ClipHandle, ModelHandle, Tensor, VaeHandle } from './values.ts'

/** CLIP's text transformer. */
export interface TextEncoder {
  /** Width of the hidden states. */
  readonly width: number
  /** The embeddings of token ids, for mixing with textual-inversion vectors; each [width]. */
  tokenEmbeddings(ids: readonly number[]): Promise<readonly Float32Array[]>
  /**
   * Encodes chunks of 77 embeddings. Layer and final norm follow the handle's
   * `lastLayer` as in ComfyUI's SD1ClipModel (the final layer norm is applied to
   * an earlier layer too).
   * @param tokens one entry a position: a token id, or an embedding vector of `width` floats.
   * @returns hidden [chunks, 77, width]; pooled [chunks, width], the last layer's
   *   state after the final norm at the first end-of-text token, projected where
   *   the checkpoint has a text projection.
   */
  encode(
    chunks: readonly (readonly (number | Float32Array)[])[],
  ): Promise<{ hidden: Tensor; pooled: Tensor }>
}

/** The noise-predicting UNet. */
export interface Denoiser {
  readonly prediction: 'epsilon' | 'v'
  /** True for a model trained down to pure noise (arXiv:2305.08891); false where left out. */
  readonly zeroTerminalSnr?: boolean
  /** Width of the context the cross attention reads. */
  readonly contextWidth: number
  readonly latentChannels: number
  /** Multiplies raw latents before sampling (0.18215 for SD 1.x). */
  readonly latentScale: number
  /** [4 x 3 factors and 3 biases] from scaled latents to RGB 0..1, for previews. */
  readonly latentRgb: {
    readonly factors: readonly (readonly number[])[]
    readonly bias: readonly number[]
  }
  /**
   * One evaluation of the network, raw output (epsilon or v).
   * @param x [batch, 4, height, width], already scaled to the network's input.
   * @param timesteps [batch], 0 to 999, may be fractional.
   * @param context [batch, tokens, contextWidth]
   */
  predict(x: Tensor, timesteps: readonly number[], context: Tensor): Promise<Tensor>
}

/** The image autoencoder. */
export interface Autoencoder {
  /** Pixels per latent cell and side (8 for SD 1.x). */
  readonly downscale: number
  readonly latentChannels: number
  /**
   * Raw (unscaled) latents [batch, 4, h, w] to pictures [batch, h*8, w*8, 3], 0 to 1 but not
   * clamped: tiles are averaged before the nodes clamp. They are the caller's to change.
   */
  decode(samples: Tensor): Promise<Tensor>
  /**
   * Pictures [batch, height, width, 3] with sides a multiple of `downscale` to raw latents:
   * the mean of the posterior, as ComfyUI's VAE.encode for SD 1.x takes a sample of it
   * only where its regulariser is set to sample (see the goldens).
   */
  encode(pixels: Tensor): Promise<Tensor>
}

/** Opens networks and keeps them; opening is lazy, cheap and cached. */
export interface ModelSessions {
  textEncoder(handle: ClipHandle): Promise<TextEncoder>
  denoiser(handle: ModelHandle): Promise<Denoiser>
  autoencoder(handle: VaeHandle): Promise<Autoencoder>
  /**
   * What of the LoRA at a path fits none of the models that it is put on, in words for the user;
   * undefined when there is nothing to say.
   * @throws MeshError `not_found`, `malformed_file`, `unsupported_model`
   */
  loraDoubt(
    path: string,
    handles: readonly (ModelHandle | ClipHandle)[],
  ): Promise<string | undefined>
  /** What computes: 'cpu', 'cuda', 'webgpu', ...; undefined before the first session. */
  readonly provider: string | undefined
  /** Total time spent inside session runs so far, in milliseconds. */
  readonly sessionMs: number
}
