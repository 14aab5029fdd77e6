/** Textual-inversion embeddings: found by the name a prompt mentions, read as vectors. */
import { statSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'
import type { ModelFolders } from '../../../models/folders.ts'
import { openSafetensors, type Safetensors } from '../../../models/safetensors.ts'
import { readTensor } from '../../../models/tensor-values.ts'

/** The name of CLIP-L's vectors in files that hold those of several encoders. */
const CLIP_L = 'clip_l'
const BUNDLE = 'bundle_emb.'

/**
 * The vectors of the embedding that a prompt calls `name`; undefined when there is none.
 * As in ComfyUI the extension may be left out and subfolders need not be named.
 * @throws MeshError `malformed_file` when the file is damaged.
 */
export async function readEmbedding(
  name: string,
  folders: ModelFolders,
): Promise<Float32Array[] | undefined> {
  const path = findEmbedding(name, folders)
  if (path === undefined) return undefined
  const file = await openSafetensors(path)
  const vectors: Float32Array[] = []
  for (const tensor of embeddingTensors(file)) vectors.push(...(await readVectors(file, tensor)))
  return vectors
}

/** Changes when the file is replaced; empty where there is no such embedding. */
export function embeddingVersion(name: string, folders: ModelFolders): string {
  const path = findEmbedding(name, folders)
  const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${path} ${stat.size} ${stat.mtimeMs}`
}

function findEmbedding(name: string, folders: ModelFolders): string | undefined {
  const names = folders.list('embeddings')
  for (const folder of folders.foldersOf('embeddings')) {
    // ComfyUI takes detours such as `../embeddings/name` as long as they end in the folder.
    const inside = relative(folder, resolve(folder, name.replaceAll('\\', '/')))
    const wanted = inside.replaceAll(sep, '/')
    for (const candidate of [wanted, `${wanted}.safetensors`]) {
      const found =
        names.find((one) => one === candidate) ?? names.find((one) => one.endsWith(`/${candidate}`))
      if (found !== undefined) return folders.find('embeddings', found)
    }
  }
  return undefined
}

/** CLIP-L's own tensor, or all of a bundle's, or else the file's first. */
function embeddingTensors({ tensors }: Safetensors): string[] {
  const names = [...tensors.keys()]
  if (tensors.has(CLIP_L)) return [CLIP_L]
  for (const end of ['.string_to_param.*', `.${CLIP_L}`]) {
    const bundled = names.filter((name) => name.startsWith(BUNDLE) && name.endsWith(end))
    if (bundled.length > 0) return bundled
  }
  return names.slice(0, 1)
}

/** One vector a row; a tensor of one dimension is a single vector. */
async function readVectors(file: Safetensors, name: string): Promise<Float32Array[]> {
  const values = await readTensor(file, name)
  const width = file.tensors.get(name)?.shape.at(-1) ?? values.length
  const count = width === 0 ? 0 : values.length / width
  return Array.from({ length: count }, (_, row) => values.subarray(row * width, (row + 1) * width))
}
