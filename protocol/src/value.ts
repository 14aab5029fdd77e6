/**
 * Values that leave their stage: bytes by content, and what they are. A value is one safetensors
 * file whose metadata describes its structure; handles (MODEL, CLIP, VAE) never become one.
 */
import { z } from 'zod'

/**
 * Bytes are verified in pieces of this size, so that a broken transfer goes on where it broke and
 * several holders can serve one blob. The last piece may be shorter. Larger ones leave the processor's
 * cache between two of the steps on their way, smaller ones take more messages: both cost time.
 */
export const CHUNK_BYTES = 2 * 1024 * 1024

/** More than any value takes; whoever is told of more need not make room for it. */
const MAX_BLOB_BYTES = 64 * 2 ** 30

export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/)

/**
 * Bytes named by their content. The hash is the BLAKE3 of the concatenated BLAKE3 digests of the
 * chunks, each of CHUNK_BYTES: whoever has the list of digests verifies every chunk by itself.
 * BLAKE3: https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf, 32 bytes of output.
 */
export const blobSchema = z.object({
  hash: hashSchema,
  sizeBytes: z.number().int().nonnegative().max(MAX_BLOB_BYTES),
})

/** The types of the safetensors format that values have, with the bytes of an element. */
const elementBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const

const tensorTypes = Object.keys(elementBytes) as (keyof typeof elementBytes)[]

const tensorShapeSchema = z.object({
  name: z.string(),
  dtype: z.enum(tensorTypes),
  shape: z.array(z.number().int().nonnegative()),
})

/** An output of a node, or the part of its batch that one stage of several made. */
export const outputSchema = z.object({
  nodeId: z.string(),
  slot: z.number().int().nonnegative(),
  /** LATENT, IMAGE, CONDITIONING, ... */
  type: z.string(),
  slice: z.object({ start: z.number(), end: z.number() }).optional(),
})

/** A value that was made: which output it is, what it holds, and who has its bytes. */
export const valueReferenceSchema = outputSchema.extend({
  tensors: z.array(tensorShapeSchema),
  blob: blobSchema,
  /** Ids of the peers that hold the bytes; the one that made them first. */
  holders: z.array(z.string()),
})

export type Blob = z.infer<typeof blobSchema>
export type TensorShape = z.infer<typeof tensorShapeSchema>
export type Output = z.infer<typeof outputSchema>
export type ValueReference = z.infer<typeof valueReferenceSchema>

/** What the elements of a tensor take in its file. */
export function tensorBytes({ dtype, shape }: TensorShape): number {
  return shape.reduce((product, size) => product * size, elementBytes[dtype])
}
