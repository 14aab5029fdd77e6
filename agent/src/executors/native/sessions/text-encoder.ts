/** CLIP's text transformer over a session; splitting a prompt into tokens is text/'s business. */
import { MeshError } from '@comfymesh/protocol/errors'
import { readRows } from '../../../models/tensor-values.ts'
import { buildTextEncoderGraph } from '../graphs/text-encoder.ts'
import type { TextEncoder } from '../models.ts'
import type { ClipHandle, Tensor } from '../values.ts'
import { textEncoderBytes } from './memory.ts'
import { type NetworkModules, openNetwork } from './network-runner.ts'

/** @throws MeshError `unsupported_model` where the file holds no text encoder. */
export async function openTextEncoder(
  modules: NetworkModules,
  { path, loras, lastLayer }: ClipHandle,
): Promise<TextEncoder> {
  const network = await openNetwork(modules, path, { loras })
  const { checkpoint } = network
  const config = checkpoint.textEncoder
  if (config === undefined) {
    const message = `The file ${path} holds no CLIP text encoder. Choose a checkpoint that does.`
    throw new MeshError('unsupported_model', message, { details: { path } })
  }
  const { width, positions, vocabulary, tokenTable } = config

  const tokenEmbeddings = (ids: readonly number[]): Promise<Float32Array[]> =>
    readRows(checkpoint.file, tokenTable, ids)

  return {
    width,
    tokenEmbeddings,
    encode: async (chunks) => {
      const embeddings = await embed(chunks, { width, positions, tokenEmbeddings })
      // CLIP's end-of-text token is the last of its vocabulary.
      const ends = chunks.map((chunk) => BigInt(endPosition(chunk, vocabulary - 1, positions)))
      const { hidden, pooled } = await network.run({
        graphKey: `text encoder, ${chunks.length} chunks, layer ${lastLayer}`,
        peakBytes: textEncoderBytes(checkpoint.file, config, chunks.length),
        build: (options) =>
          buildTextEncoderGraph(checkpoint, { chunks: chunks.length, lastLayer }, options),
        feeds: {
          embeddings,
          end_positions: { data: BigInt64Array.from(ends), shape: [chunks.length] },
        },
      })
      return { hidden: hidden!, pooled: pooled! }
    },
  }
}

type Chunks = Parameters<TextEncoder['encode']>[0]

/** The chunks as vectors, [chunks, positions, width]; each token's row is read once. */
async function embed(
  chunks: Chunks,
  table: {
    readonly width: number
    readonly positions: number
    readonly tokenEmbeddings: (ids: readonly number[]) => Promise<Float32Array[]>
  },
): Promise<Tensor> {
  const { width, positions, tokenEmbeddings } = table
  const ids = [...new Set(chunks.flat().filter((token) => typeof token === 'number'))]
  const vectors = await tokenEmbeddings(ids)
  const rows = new Map(ids.map((id, index) => [id, vectors[index]!]))
  const data = new Float32Array(chunks.length * positions * width)
  for (const [c, chunk] of chunks.entries()) {
    if (chunk.length !== positions) {
      throw new RangeError(`a chunk has ${positions} tokens, not ${chunk.length}`)
    }
    for (const [p, token] of chunk.entries()) {
      const row = typeof token === 'number' ? rows.get(token)! : token
      data.set(row, (c * positions + p) * width)
    }
  }
  return { data, shape: [chunks.length, positions, width] }
}

function endPosition(chunk: Chunks[number], endToken: number, positions: number): number {
  const first = chunk.indexOf(endToken)
  return first === -1 ? positions - 1 : first
}
