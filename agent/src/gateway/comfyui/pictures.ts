/**
 * Pictures of users that are taken apart in the agent's own process, for previews and masks. They
 * may come from strangers: raster formats only, of a bounded size, and few at a time.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { pictureFormat } from '../../executors/native/image/format.ts'
import { loadSharp, type Sharp } from '../../executors/native/image/sharp.ts'

/** 8192 x 8192; more than models make, and 256 MB while it is taken apart. */
const MAX_PIXELS = 2 ** 26

const MAX_SECONDS = 30

/** A gallery asks for a page of previews at once; a client gone wild for more. */
const MAX_WAITING = 500

export type OpenPicture = (bytes: Uint8Array) => ReturnType<Sharp>

let last: Promise<unknown> = Promise.resolve()
let waiting = 0

/**
 * Lends the way to open pictures, to one at a time: each may take as much memory as all others.
 * @throws MeshError `busy` when too many wait, `malformed_file` for what cannot be opened here.
 */
export async function withPictures<T>(use: (open: OpenPicture) => Promise<T>): Promise<T> {
  if (waiting >= MAX_WAITING) {
    throw new MeshError('busy', 'Too many pictures are asked for at once. Try again in a moment.')
  }
  waiting += 1
  // Loaded when first needed, because it is large.
  const done = last.then(loadSharp).then((sharp) => use((bytes) => open(sharp, bytes)))
  last = done.catch(() => {})
  try {
    return await done
  } catch (cause) {
    throw cause instanceof MeshError ? cause : malformed((cause as Error).message, cause)
  } finally {
    waiting -= 1
  }
}

function open(sharp: Sharp, bytes: Uint8Array): ReturnType<Sharp> {
  const format = pictureFormat(bytes)
  if (format === undefined || format === 'bmp') throw malformed('it is of no format read here')
  return sharp(bytes, { limitInputPixels: MAX_PIXELS }).timeout({ seconds: MAX_SECONDS })
}

function malformed(why: string, cause?: unknown): MeshError {
  const message = `This cannot be read as a picture: ${why.replace(/\s+/g, ' ').trim()}.`
  return new MeshError('malformed_file', message, { cause })
}
