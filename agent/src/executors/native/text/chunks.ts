/** Tokens with weights, packed into the chunks of 77 positions that CLIP reads. */
import { END_TOKEN, START_TOKEN } from './byte-pairs.ts'

/** One position of a chunk. */
export interface WeightedToken {
  /** A token's id, or the vector of an embedding in its place. */
  readonly token: number | Float32Array
  readonly weight: number
}

/** Positions of a chunk, start and end token included. */
export const CHUNK_LENGTH = 77

/** Groups shorter than this are not torn apart at the end of a chunk. */
const LARGE_GROUP = 8

const start: WeightedToken = { token: START_TOKEN, weight: 1 }
const end: WeightedToken = { token: END_TOKEN, weight: 1 }

/** The chunk of an empty prompt; weights are measured from what it is encoded to. */
export const emptyChunk: readonly WeightedToken[] = closed([start])

/**
 * Packs groups (one a stretch of text or an embedding) into chunks, as ComfyUI's SDTokenizer:
 * each opens with a start token, ends with an end token and is filled up with more of them.
 * A small group that does not fit moves to the next chunk, a large one is cut.
 */
export function packChunks(
  groups: readonly (readonly WeightedToken[])[],
): (readonly WeightedToken[])[] {
  const chunks: (readonly WeightedToken[])[] = []
  let chunk = [start]
  const next = () => {
    chunks.push(closed(chunk))
    chunk = [start]
  }
  for (const group of groups) {
    let rest = group
    while (rest.length > 0) {
      const room = CHUNK_LENGTH - 1 - chunk.length
      if (rest.length <= room) {
        chunk.push(...rest)
        break
      }
      if (group.length >= LARGE_GROUP) {
        chunk.push(...rest.slice(0, room))
        rest = rest.slice(room)
      }
      next()
    }
  }
  next()
  return chunks
}

function closed(chunk: readonly WeightedToken[]): readonly WeightedToken[] {
  return [...chunk, ...Array.from({ length: CHUNK_LENGTH - chunk.length }, () => end)]
}
