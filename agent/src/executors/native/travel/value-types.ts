/**
 * The types of values that leave their stage, one row a type: how a value becomes tensors and a
 * structure and back, without loss, and how its batch is cut and joined. MODEL, CLIP and VAE have
 * no row: they are made again where they are needed.
 */
import { z } from 'zod'
import type { Conditioning, ConditioningEntry, Image, Latent, Mask } from '../values.ts'
import { type Batch, imageBatch, latentBatch, maskBatch } from './batches.ts'
import {
  type Axes,
  type PartsReader,
  type PartsWriter,
  type TensorReference,
  tensorReferenceSchema as tensor,
} from './value-parts.ts'

export interface TravelType<T = unknown> {
  /**
   * @returns the structure; the tensors that it names are put.
   * @throws RangeError, ZodError for what is no value of this type.
   */
  encode(value: T, parts: PartsWriter): unknown
  /** @throws RangeError, ZodError where the parts are not those of a value of this type. */
  decode(parts: PartsReader): Promise<T>
  /** Present for types that are batches. */
  readonly batch?: Batch<T>
}

const samplesAxes: Axes = ['batch', 'channels', 'height', 'width']
const imageAxes: Axes = ['batch', 'height', 'width', 'channels']
const maskAxes: Axes = ['batch', 'height', 'width']
const indexAxes: Axes = ['batch']
const tokensAxes: Axes = [1, 'tokens', 'width']
const pooledAxes: Axes = [1, 'width']

const latentSchema = z.strictObject({
  samples: tensor,
  noise_mask: tensor.optional(),
  batch_index: tensor.optional(),
})

const latent: TravelType<Latent> = {
  encode: ({ samples, noiseMask, batchIndex }, parts) => ({
    samples: parts.put('samples', samples, samplesAxes),
    ...(noiseMask && { noise_mask: parts.put('noise_mask', noiseMask, maskAxes) }),
    ...(batchIndex && {
      batch_index: parts.put('batch_index', indexTensor(batchIndex), indexAxes),
    }),
  }),
  async decode(parts) {
    const { samples, noise_mask, batch_index } = latentSchema.parse(parts.structure)
    const indexes = batch_index && (await parts.get(batch_index, 'I64', indexAxes))
    return {
      samples: await parts.get(samples, 'F32', samplesAxes),
      ...(noise_mask && { noiseMask: await parts.get(noise_mask, 'F32', maskAxes) }),
      ...(indexes && { batchIndex: Array.from(indexes.data, Number) }),
    }
  },
  batch: latentBatch,
}

function indexTensor(indexes: readonly number[]) {
  return { data: BigInt64Array.from(indexes, BigInt), shape: [indexes.length] }
}

/** A type that is one float32 tensor. */
function tensorType(name: string, axes: Axes, batch: Batch<Image | Mask>): TravelType<Image> {
  const schema = z.strictObject({ [name]: tensor })
  return {
    encode: (value, parts) => ({ [name]: parts.put(name, value, axes) }),
    decode: (parts) => parts.get(schema.parse(parts.structure)[name]!, 'F32', axes),
    batch,
  }
}

type EntryTensor = 'tokens' | 'pooled' | 'mask'

const cells = z.number().int().nonnegative()

/** Everything of an entry that is no tensor, under our own names; one that is missing does not compile. */
const entryOptions = {
  area: z.tuple([cells, cells, cells, cells]).optional(),
  strength: z.number().optional(),
  maskStrength: z.number().optional(),
  setAreaToBounds: z.boolean().optional(),
  startPercent: z.number().optional(),
  endPercent: z.number().optional(),
} satisfies { [K in Exclude<keyof Required<ConditioningEntry>, EntryTensor>]: z.ZodType }

/** Strict: an option that is not known here would be lost, and the picture another one. */
const conditioningSchema = z.array(
  z.strictObject({
    ...entryOptions,
    tokens: tensor,
    pooled: tensor.optional(),
    mask: tensor.optional(),
  }),
)

const conditioning: TravelType<Conditioning> = {
  encode: (entries, parts) =>
    entries.map(({ tokens, pooled, mask, ...options }, index) => ({
      ...options,
      tokens: parts.put(`${index}.tokens`, tokens, tokensAxes),
      ...(pooled && { pooled: parts.put(`${index}.pooled`, pooled, pooledAxes) }),
      ...(mask && { mask: parts.put(`${index}.mask`, mask, maskAxes) }),
    })),
  async decode(parts) {
    const entries: ConditioningEntry[] = []
    for (const { tokens, pooled, mask, ...options } of conditioningSchema.parse(parts.structure)) {
      entries.push({
        ...present(options),
        tokens: await parts.get(tokens, 'F32', tokensAxes),
        ...(pooled && { pooled: await parts.get(pooled, 'F32', pooledAxes) }),
        ...(mask && { mask: await parts.get(mask, 'F32', maskAxes) }),
      })
    }
    return entries
  },
}

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** The same members without those that are undefined. */
function present<T extends object>(options: T): Present<T> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Present<T>
}

/** A type that is its own structure. */
function plainType<T>(schema: z.ZodType<T>): TravelType<T> {
  return {
    encode: (value) => ({ value: schema.parse(value) }),
    decode: async (parts) => z.strictObject({ value: schema }).parse(parts.structure).value,
  }
}

const floatSchema = z.strictObject({ value: tensor })

/** A tensor, because JSON has neither -0 nor what is not finite. */
const float: TravelType<number> = {
  encode: (value, parts) => ({
    value: parts.put('value', { data: Float64Array.of(value), shape: [] }, []) as TensorReference,
  }),
  decode: async (parts) => {
    const { value } = floatSchema.parse(parts.structure)
    return (await parts.get(value, 'F64', [])).data[0]!
  },
}

/** Seeds are 64 bits wide without a sign, which no tensor type of the format is: digits in JSON. */
const integer = z.union([z.number().int(), z.bigint()])

const plain = z.union([z.string(), z.number(), z.bigint(), z.boolean()])

export const travelTypes: ReadonlyMap<string, TravelType> = new Map<string, TravelType>([
  ['LATENT', latent],
  ['IMAGE', tensorType('image', imageAxes, imageBatch)],
  ['MASK', tensorType('mask', maskAxes, maskBatch)],
  ['CONDITIONING', conditioning],
  ['INT', plainType<number | bigint>(integer)],
  ['FLOAT', float],
  ['STRING', plainType(z.string())],
  ['BOOLEAN', plainType(z.boolean())],
  /** A choice of a dropdown. */
  ['COMBO', plainType(plain)],
])
