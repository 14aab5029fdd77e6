import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { TextEncoder } from '../../../../src/executors/native/models.ts'
import { END_TOKEN, START_TOKEN } from '../../../../src/executors/native/text/byte-pairs.ts'
import {
  embeddingVersion,
  readEmbedding,
} from '../../../../src/executors/native/text/embeddings.ts'
import { chunkPrompt, encodePrompt } from '../../../../src/executors/native/text/encode-prompt.ts'
import { embeddingNames } from '../../../../src/executors/native/text/prompt-syntax.ts'
import { ModelFolders } from '../../../../src/models/folders.ts'
import { goldenCases, goldenDocument } from '../../../goldens.ts'

const folders = new ModelFolders({
  models: { embeddings: [fileURLToPath(new URL('../../../goldens/embeddings', import.meta.url))] },
  input: '',
  output: '',
  temp: '',
})

interface Chunk {
  readonly tokens: readonly (number | string)[]
  readonly length: number
  readonly weights?: readonly (number | string)[]
}

interface Case {
  readonly kind: string
  readonly prompt: string
  readonly chunks: readonly Chunk[]
}

interface About {
  readonly about: { readonly embeddings: { readonly [file: string]: unknown } }
}

/** Vectors of the embedding files by the names that the goldens give them. */
async function vectorNames(): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (const file of Object.keys(goldenDocument<About>('text').about.embeddings)) {
    const vectors = (await readEmbedding(file, folders)) ?? []
    for (const [row, vector] of vectors.entries()) names.set(String(vector), `${file}#${row}`)
  }
  return names
}

t.test("prompts become ComfyUI's chunks of weighted tokens", async (t) => {
  const names = await vectorNames()
  const cases = goldenCases<Case>('text').filter(({ kind }) => kind === 'tokens')
  t.ok(cases.length > 50)
  for (const { prompt, chunks } of cases) {
    const found = await chunkPrompt(prompt, folders, () => {})
    const written = found.map((chunk) =>
      chunk.map(({ token, weight }) => ({
        token: typeof token === 'number' ? token : names.get(String(token)),
        weight,
      })),
    )
    const wanted = chunks.map(({ tokens, length, weights }) =>
      Array.from({ length }, (_, i) => ({
        token: tokens[i] ?? END_TOKEN,
        weight: weightOf(weights?.[i] ?? 1),
      })),
    )
    t.strictSame(written, wanted, encodeURI(prompt).slice(0, 60))
  }
})

const weightOf = (weight: number | string) => (weight === 'inf' ? Infinity : Number(weight))

/** An encoder whose hidden state tells which tokens it was given. */
function tellingEncoder(width: number) {
  const seen: (number | Float32Array)[][] = []
  const encoder: TextEncoder = {
    width,
    tokenEmbeddings: async (ids) => ids.map(() => new Float32Array(width)),
    encode: async (chunks) => {
      seen.push(...chunks.map((chunk) => [...chunk]))
      const rows = chunks.flat().map((token) => (typeof token === 'number' ? token : -1))
      return {
        hidden: {
          data: Float32Array.from(rows.flatMap((row) => Array(width).fill(row))),
          shape: [chunks.length, 77, width],
        },
        pooled: {
          data: Float32Array.from(chunks.flatMap((_, i) => Array(width).fill(i))),
          shape: [chunks.length, width],
        },
      }
    },
  }
  return { encoder, seen }
}

const warn = (message: string) => t.fail(message)

t.test('weights are measured from the empty prompt', async (t) => {
  const { encoder, seen } = tellingEncoder(2)
  const { tokens, pooled } = await encodePrompt('a (cat:0.5) (dog:0)', encoder, folders, warn)
  t.equal(seen.length, 2, 'the empty prompt is encoded too')
  t.strictSame(tokens.shape, [1, 77, 2])
  const [a, cat, dog] = [320, 2368, 1929]
  t.strictSame([...tokens.data].filter((_, i) => i % 2 === 0).slice(0, 5), [
    START_TOKEN,
    a,
    (cat - END_TOKEN) * 0.5 + END_TOKEN,
    END_TOKEN,
    END_TOKEN,
  ])
  t.ok(seen[0]?.includes(dog))
  t.strictSame([...(pooled?.data ?? [])], [0, 0])
})

t.test('without weights the empty prompt is not encoded', async (t) => {
  const { encoder, seen } = tellingEncoder(2)
  await encodePrompt('a cat', encoder, folders, warn)
  t.equal(seen.length, 1)
})

t.test('a long prompt is laid end to end, pooled from its first chunk', async (t) => {
  const { encoder, seen } = tellingEncoder(2)
  const { tokens, pooled } = await encodePrompt('cat '.repeat(100), encoder, folders, warn)
  t.equal(seen.length, 2)
  t.strictSame(tokens.shape, [1, 154, 2])
  t.equal(tokens.data[77 * 2], START_TOKEN)
  t.strictSame(pooled?.shape, [1, 2])
})

t.test('embeddings of another width, and missing ones, are ignored with a warning', async (t) => {
  const warnings: string[] = []
  const { encoder, seen } = tellingEncoder(64)
  await encodePrompt(
    'embedding:wide a embedding:nothing, embedding:tiny cat',
    encoder,
    folders,
    (w) => warnings.push(w),
  )
  const chunk = seen[0]!.map((token) => (typeof token === 'number' ? token : 'vector'))
  t.strictSame(chunk.slice(0, 6), [START_TOKEN, 320, 267, 'vector', 'vector', 2368])
  t.equal(chunk.length, 77)
  t.match(warnings, [/'nothing'.*goldens.embeddings/, /width 96 .* has 64/])
})

t.test('the embeddings that a prompt mentions', async (t) => {
  t.strictSame(embeddingNames('a (embedding:one:1.2) embedding:two, b xembedding:three'), [
    'one',
    'one',
    'two,',
    'two',
  ])
  t.match(embeddingVersion('tiny', folders), /tiny\.safetensors 592 \d/)
  t.equal(embeddingVersion('missing', folders), '')
})
