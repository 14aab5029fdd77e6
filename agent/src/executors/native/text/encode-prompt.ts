/**
 * From a prompt to what guides the sampler: syntax, tokens, chunks, CLIP, weights.
 * The network itself is behind TextEncoder (models.ts).
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { ModelFolders } from '../../../models/folders.ts'
import type { TextEncoder } from '../models.ts'
import type { ConditioningEntry, Tensor } from '../values.ts'
import { clipTokenizer, END_TOKEN, type Tokenizer } from './byte-pairs.ts'
import { CHUNK_LENGTH, emptyChunk, packChunks, type WeightedToken } from './chunks.ts'
import { readEmbedding } from './embeddings.ts'
import {
  type EmbeddingMention,
  embeddingMention,
  splitAtEmbeddings,
  weightedTexts,
  withoutCommas,
} from './prompt-syntax.ts'

/** Told what of a prompt was ignored. */
type Warn = (message: string) => void

/**
 * Encodes a prompt as ComfyUI's CLIPTextEncode does for SD 1.x.
 * @returns tokens [1, 77 x chunks, width], and the first chunk's pooled state [1, width].
 */
export async function encodePrompt(
  text: string,
  encoder: TextEncoder,
  folders: ModelFolders,
  warn: Warn,
): Promise<ConditioningEntry> {
  const chunks = await chunkPrompt(text, folders, warn)
  const weighted = chunks.some((chunk) => chunk.some(({ weight }) => weight !== 1))
  const encoded = await encoder.encode(
    [...chunks, ...(weighted ? [emptyChunk] : [])].map((chunk) =>
      fittingTokens(chunk, encoder.width, warn),
    ),
  )
  const { hidden, pooled } = encoded
  const length = chunks.length * CHUNK_LENGTH * encoder.width
  const tokens: Tensor = {
    data: weighted
      ? applyWeights(hidden.data, chunks, encoder.width)
      : hidden.data.slice(0, length),
    shape: [1, chunks.length * CHUNK_LENGTH, encoder.width],
  }
  const pooledWidth = pooled.shape[1]!
  return {
    tokens,
    pooled: { data: pooled.data.slice(0, pooledWidth), shape: [1, pooledWidth] },
  }
}

/**
 * The chunks of a prompt, embeddings as vectors in their place.
 * Embeddings that do not exist are warned about and left out, as in ComfyUI.
 */
export async function chunkPrompt(
  text: string,
  folders: ModelFolders,
  warn: Warn,
): Promise<(readonly WeightedToken[])[]> {
  const tokenizer = await clipTokenizer()
  const groups: WeightedToken[][] = []
  for (const { text: stretch, weight } of weightedTexts(text)) {
    for (const part of splitAtEmbeddings(stretch)) {
      const mention = embeddingMention(part)
      if (mention) {
        const { vectors, rest } = await findVectors(mention, folders, warn)
        if (vectors) groups.push(vectors.map((token) => ({ token, weight })))
        if (rest !== '') groups.push(tokenGroup(rest, weight, tokenizer))
      } else groups.push(tokenGroup(part, weight, tokenizer))
    }
  }
  return packChunks(groups)
}

const tokenGroup = (text: string, weight: number, tokenizer: Tokenizer): WeightedToken[] =>
  tokenizer(text).map((token) => ({ token, weight }))

/** The vectors of a mention as written, or else without the commas around it. */
async function findVectors(
  mention: EmbeddingMention,
  folders: ModelFolders,
  warn: Warn,
): Promise<{ vectors?: Float32Array[]; rest: string }> {
  const bare = withoutCommas(mention)
  for (const { name, rest } of bare ? [mention, bare] : [mention]) {
    const vectors = name === '' ? undefined : await readOrWarn(name, folders, warn)
    if (vectors) return { vectors, rest }
  }
  const searched = folders.foldersOf('embeddings').join(', ')
  warn(
    `There is no embedding '${(bare ?? mention).name}'; it is ignored. Put its .safetensors file into one of the folders searched: ${searched}`,
  )
  return { rest: (bare ?? mention).rest }
}

async function readOrWarn(name: string, folders: ModelFolders, warn: Warn) {
  try {
    return await readEmbedding(name, folders)
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'malformed_file') throw error
    warn(`The embedding '${name}' is ignored: ${error.message}`)
    return undefined
  }
}

/**
 * The tokens of a chunk without vectors of another model's width. What follows one moves up
 * while the weights stay, and the end is filled up: so does ComfyUI.
 */
function fittingTokens(
  chunk: readonly WeightedToken[],
  width: number,
  warn: Warn,
): (number | Float32Array)[] {
  const tokens = chunk
    .map(({ token }) => token)
    .filter((token) => typeof token === 'number' || token.length === width)
  const misfit = chunk.find(({ token }) => typeof token !== 'number' && token.length !== width)
  if (misfit) {
    const { length } = misfit.token as Float32Array
    warn(`An embedding of width ${length} is ignored: this model's text encoder has ${width}.`)
  }
  while (tokens.length < CHUNK_LENGTH) tokens.push(END_TOKEN)
  return tokens
}

/** Moves each position away from the empty prompt's by its weight, in float32 as torch does. */
function applyWeights(
  hidden: Float32Array,
  chunks: readonly (readonly WeightedToken[])[],
  width: number,
): Float32Array {
  const chunkSize = CHUNK_LENGTH * width
  const result = hidden.slice(0, chunks.length * chunkSize)
  const empty = hidden.subarray(chunks.length * chunkSize)
  for (const [index, { weight }] of chunks.flat().entries()) {
    if (weight === 1) continue
    const scale = Math.fround(weight)
    const from = (index % CHUNK_LENGTH) * width
    for (let i = 0; i < width; i++) {
      const at = index * width + i
      const difference = Math.fround(result[at]! - empty[from + i]!)
      result[at] = Math.fround(difference * scale) + empty[from + i]!
    }
  }
  return result
}
