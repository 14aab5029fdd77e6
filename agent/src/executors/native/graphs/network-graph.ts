/**
 * What a built network is, and what its builders are told.
 * unet.ts, text-encoder.ts and autoencoder.ts build the graphs; nothing here runs them.
 */
import type { Lora } from './lora.ts'

/** The way of saying the same network that suits a provider best. */
export interface Dialect {
  /**
   * 'fused' is com.microsoft.MultiHeadAttention, which never holds the whole score matrix;
   * 'plain' spells attention out in MatMul and Softmax, sliced so that scores stay small.
   */
  readonly attention: 'fused' | 'plain'
  /**
   * 'winograd' multiplies far less where a convolution is large enough, for more memory and
   * rounding; 'direct' leaves it to the provider.
   */
  readonly convolution: 'direct' | 'winograd'
  /** 'fused' is com.microsoft's QuickGelu and BiasGelu, 'plain' spells them out. */
  readonly activation: 'fused' | 'plain'
  /**
   * 'blocked' cuts products of many tokens so that each fits a core's cache; 'whole' leaves that
   * to the provider.
   */
  readonly product: 'blocked' | 'whole'
  /**
   * 'apart' lets go of the memory of each cast weight as soon as its layer has run; 'plain' leaves
   * to the provider what it keeps.
   */
  readonly casts: 'apart' | 'plain'
  /** What activations are computed in. Inputs and outputs are float32 either way. */
  readonly compute: 'f32' | 'f16'
}

export interface BuildOptions {
  readonly dialect: Dialect
  /** In the order of the elements of the graph's `lora_strengths` input. */
  readonly loras?: readonly Lora[]
  /**
   * The only folder whose files the session may map: the root of the checkpoint's drive unless
   * given. Weights of files outside are copied into the model.
   */
  readonly weightsFolder?: string
}

export interface Port {
  readonly name: string
  readonly type: 'float32' | 'int64'
  readonly shape: readonly number[]
}

/** A serialized ONNX model with static shapes whose weights stay in their files. */
export interface NetworkGraph {
  readonly model: Uint8Array
  /** Value for the session option `session.model_external_initializers_file_folder_path`. */
  readonly weightsFolder: string
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
}
