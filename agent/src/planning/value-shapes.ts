/**
 * Whether what a peer says it made can be what was asked for: one value for each output, in the
 * shape that its type has. A peer that is wrong about this is not asked again.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { PlannedStage } from '@comfymesh/protocol/plan'
import {
  type Output,
  type TensorShape,
  tensorBytes,
  type ValueReference,
} from '@comfymesh/protocol/value'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { isLink, type NodeId } from '@comfymesh/protocol/workflow'

/** The length of a safetensors header before its JSON. */
const LEAST_HEADER_BYTES = 8

/** The tensor that a value of a type is about, and the shape that it must have. */
const forms: {
  readonly [type: string]: { name: string; fits: (shape: readonly number[]) => boolean }
} = {
  IMAGE: { name: 'image', fits: (shape) => shape.length === 4 && shape[3]! >= 1 && shape[3]! <= 4 },
  MASK: { name: 'mask', fits: (shape) => shape.length >= 2 && shape.length <= 4 },
  LATENT: { name: 'samples', fits: (shape) => shape.length >= 3 && shape.length <= 5 },
}

/** @throws MeshError `corrupt_value` with details `{ peerId }` */
export function checkValues(
  values: readonly ValueReference[],
  { stage, peerId, prompt }: { stage: PlannedStage; peerId: string; prompt: Prompt },
): void {
  const counts = `${values.length} values were made where ${stage.outputs.length} were asked for`
  const complaint =
    values.length === stage.outputs.length
      ? stage.outputs.map((output) => complaintAbout(output, values, peerId, prompt)).find(Boolean)
      : counts
  if (complaint === undefined) return
  const message = `A stage was reported as done, but ${complaint}. What that peer made is not used.`
  throw new MeshError('corrupt_value', message, { details: { peerId } })
}

function complaintAbout(
  output: Output,
  values: readonly ValueReference[],
  peerId: string,
  prompt: Prompt,
): string | undefined {
  const name = `the ${output.type} of node ${output.nodeId}, output ${output.slot},`
  const value = values.find((one) => isSame(one, output))
  if (value === undefined) return `${name} is not among what was made`
  if (!value.holders.includes(peerId)) return `${name} lies on another peer`
  const bytes = value.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), LEAST_HEADER_BYTES)
  if (value.blob.sizeBytes < bytes) return `${name} has fewer bytes than its tensors`
  const form = Object.hasOwn(forms, output.type) ? forms[output.type] : undefined
  if (form === undefined) return undefined
  const tensor = value.tensors.find((one) => one.name === form.name)
  if (tensor === undefined) return `${name} has no tensor "${form.name}"`
  const shape = tensor.shape.join('×')
  if (!form.fits(tensor.shape)) return `${name} has the shape ${shape}`
  const size = certainSize(prompt, output)
  if (size === undefined || fits(tensor, output, size)) return undefined
  const asked = `${size.batch} of ${size.width}×${size.height} pixels`
  return `${name} has the shape ${shape} where the prompt asks for ${asked}`
}

const isSame = (a: Output, b: Output) =>
  a.nodeId === b.nodeId && a.slot === b.slot && a.type === b.type

interface Size {
  readonly width: number
  readonly height: number
  readonly batch: number
}

/** Pixels a latent cell stands for, in each direction. */
const CELL_PIXELS = 8

function fits({ shape }: TensorShape, { type }: Output, { width, height, batch }: Size): boolean {
  const sides = type === 'IMAGE' ? [shape[1], shape[2]] : [shape[2], shape[3]]
  const cell = type === 'IMAGE' ? 1 : CELL_PIXELS
  // A width that is no multiple of a cell is rounded down to one.
  const expected = [height, width].map((pixels) => Math.floor(pixels / CELL_PIXELS))
  return (
    shape[0] === batch && sides.every((side, at) => side === (expected[at]! * CELL_PIXELS) / cell)
  )
}

/** A kind of node whose pictures are just as large as those it takes from one of its inputs. */
interface Passing {
  readonly from: string
  /** Where that depends on how many pixels a latent cell stands for, which is the VAE's affair. */
  readonly vae?: string
}

/** ComfyUI's own. */
const passing: { readonly [classType: string]: Passing } = {
  KSampler: { from: 'latent_image' },
  KSamplerAdvanced: { from: 'latent_image' },
  VAEDecode: { from: 'samples', vae: 'vae' },
}

/** A VAE of its own file may stand for any number of pixels: `pixel_space` for one a cell. */
const CHECKPOINT_LOADER = 'CheckpointLoaderSimple'

/** Only where the prompt leaves no doubt: a guess must not put a peer in the wrong. */
function certainSize(prompt: Prompt, { nodeId, type }: Output): Size | undefined {
  if (type !== 'LATENT' && type !== 'IMAGE') return undefined
  let id: NodeId | undefined = nodeId
  const seen = new Set<NodeId>()
  while (id !== undefined && !seen.has(id) && Object.hasOwn(prompt, id)) {
    seen.add(id)
    const { class_type, inputs }: Prompt[string] = prompt[id]!
    if (class_type === 'EmptyLatentImage') return sizeOf(inputs)
    if (!Object.hasOwn(passing, class_type)) return undefined
    const { from, vae }: Passing = passing[class_type]!
    if (vae !== undefined && classOf(prompt, sourceOf(inputs[vae])) !== CHECKPOINT_LOADER)
      return undefined
    id = sourceOf(inputs[from])
  }
  return undefined
}

/** The node that an input is linked to. */
function sourceOf(input: JsonValue | undefined): NodeId | undefined {
  return input !== undefined && isLink(input) ? input[0] : undefined
}

function classOf(prompt: Prompt, id: NodeId | undefined): string | undefined {
  return id !== undefined && Object.hasOwn(prompt, id) ? prompt[id]!.class_type : undefined
}

function sizeOf({ width, height, batch_size: batch }: Prompt[string]['inputs']): Size | undefined {
  const isKnown = [width, height, batch].every((value) => typeof value === 'number')
  return isKnown ? ({ width, height, batch } as unknown as Size) : undefined
}
