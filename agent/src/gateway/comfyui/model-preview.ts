/** The picture of a model: beside its file, or inside it where trainers put a cover. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { containedPath } from '../../models/folders.ts'
import { openSafetensors } from '../../models/safetensors.ts'
import { withPictures } from './pictures.ts'

const PICTURE = /^(\.preview)?\.(png|jpe?g|webp|gif|avif|tiff?)$/i

/** Cards of models weigh kilobytes; what is larger is not read. */
const MAX_PREVIEW_BYTES = 32 * 1024 * 1024

/**
 * As WebP; undefined where there is none, or where it is no picture.
 * @param name of the model, below the folder. Nothing outside the folder is looked at.
 */
export async function modelPreview(folder: string, name: string): Promise<Buffer | undefined> {
  const path = containedPath(folder, name)
  if (path === undefined) return undefined
  const bytes = (await pictureBeside(path)) ?? (await coverInside(path))
  if (bytes === undefined) return undefined
  return withPictures((open) => open(bytes).webp().toBuffer()).catch((error: unknown) => {
    if (error instanceof MeshError && error.code === 'malformed_file') return undefined
    throw error
  })
}

/** `model.png` before `model.preview.png`. */
async function pictureBeside(path: string): Promise<Buffer | undefined> {
  const stem = basename(path, extname(path))
  const names = await readdir(dirname(path)).catch(() => [])
  const pictures = names
    .filter((name) => name.startsWith(stem) && PICTURE.test(name.slice(stem.length)))
    .sort((a, b) => a.length - b.length)
  const [first] = pictures
  if (first === undefined) return undefined
  const picture = join(dirname(path), first)
  const found = await stat(picture).catch(() => undefined)
  return found?.isFile() && found.size <= MAX_PREVIEW_BYTES ? readFile(picture) : undefined
}

/** What kohya's trainer and its followers write: a JSON list of base64 pictures. */
async function coverInside(path: string): Promise<Buffer | undefined> {
  if (!path.endsWith('.safetensors')) return undefined
  try {
    const { metadata } = await openSafetensors(path)
    const covers: unknown = JSON.parse(metadata.ssmd_cover_images ?? '[]')
    const [cover] = Array.isArray(covers) ? covers : []
    return typeof cover === 'string' ? Buffer.from(cover, 'base64') : undefined
  } catch (error) {
    if (error instanceof MeshError || error instanceof SyntaxError) return undefined
    throw error
  }
}
