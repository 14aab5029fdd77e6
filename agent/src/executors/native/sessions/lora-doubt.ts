/** How much of a LoRA fits the models that it is put on, in words for the user. */
import { isForTextEncoder } from '../graphs/lora-names.ts'
import type { ModelFiles } from './model-files.ts'

/** Names of tensors in a warning; enough to see what kind of file it is. */
const MAX_NAMED = 3

/**
 * @param modelPaths the files of the models that the LoRA is put on: of a checkpoint one, or the
 *   diffusion model and the text encoder where those are files of their own.
 * @returns what fits none of them; undefined when there is nothing to say.
 * @throws MeshError as ModelFiles.lora
 */
export async function loraDoubt(
  files: ModelFiles,
  path: string,
  modelPaths: readonly string[],
): Promise<string | undefined> {
  const models = await Promise.all(modelPaths.map((model) => files.checkpoint(model)))
  const loras = await Promise.all(
    models.map(async (model) => (await files.lora(path, model)).content),
  )
  const [first, ...others] = loras
  if (first === undefined) return undefined
  const isOfUse = loras.some(({ patches }) => patches.size > 0)
  const hasText = models.some(({ content }) => content.textEncoder !== undefined)
  const elsewhere = others.map((other) => new Set(other.unmatched))
  const unmatched = first.unmatched
    .filter((name) => elsewhere.every((names) => names.has(name)))
    // Put on a diffusion model alone, its part for the text is not wanted.
    .filter((name) => !(isOfUse && !hasText && isForTextEncoder(name)))
  if (unmatched.length === 0) return undefined
  const named = unmatched.slice(0, MAX_NAMED).join(', ')
  const examples = unmatched.length > MAX_NAMED ? `${named}, ...` : named
  if (isOfUse) {
    return `${unmatched.length} of the ${first.file.tensors.size} tensors of the LoRA ${path} fit no layer of the model and are not used (${examples}). It may be made for another kind of model.`
  }
  return `The LoRA ${path} changes nothing: none of its ${unmatched.length} tensors fits a layer of the model (${examples}). It is made for another kind of model, or is no LoRA; choose another.`
}
