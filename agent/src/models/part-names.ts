/**
 * Networks that come in a file of their own carry names without the prefix that they have in a
 * checkpoint (ComfyUI's folders diffusion_models and text_encoders): they are read under that prefix.
 */
import type { Safetensors } from './safetensors.ts'

/** What the names of such a file begin with, and where they stand in a checkpoint. */
const parts: readonly (readonly [pattern: RegExp, prefix: string])[] = [
  [/^(?:input_blocks|middle_block|output_blocks|time_embed|out)\./, 'model.diffusion_model.'],
  [/^(?:text_model|text_projection)\./, 'cond_stage_model.transformer.'],
]

/** The names by which such a file is known; a whole checkpoint has none of them. */
const SIGNS = ['input_blocks.0.0.weight', 'text_model.embeddings.token_embedding.weight']

/** The file with a checkpoint's names where it holds one network alone, else as it is. */
export function fromPartNames(file: Safetensors): Safetensors {
  if (!SIGNS.some((name) => file.tensors.has(name))) return file
  const rename = (name: string) => {
    const [, prefix = ''] = parts.find(([pattern]) => pattern.test(name)) ?? []
    return prefix + name
  }
  return { ...file, tensors: new Map([...file.tensors].map(([name, it]) => [rename(name), it])) }
}
