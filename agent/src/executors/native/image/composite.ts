/** Putting one picture on another, and room around a picture. */
import { repeatTo } from '../array/slicing.ts'
import { copyOf, filled, reshape } from '../array/tensor.ts'
import type { Image, Mask } from '../values.ts'
import { dimensionsOf, matchChannels } from './pixels.ts'
import { interpolate, PICTURE_HEIGHT_AXIS } from './resample.ts'

export interface Placement {
  /** Where the source's upper left corner comes to lie, in pixels of the destination. */
  readonly x: number
  readonly y: number
  /** Whether the source first takes the destination's size. */
  readonly resizeSource: boolean
  /** How much of the source shows, 0 to 1; takes the source's size. */
  readonly mask?: Mask
}

/** `source` over `destination`; what lies outside is cut off. Batches repeat to the destination's. */
export function compositePicture(destination: Image, source: Image, placement: Placement): Image {
  const { batch, height, width, channels } = dimensionsOf(destination)
  const matched = matchChannels(destination, source)
  const resized = placement.resizeSource
    ? interpolate(matched, PICTURE_HEIGHT_AXIS, { width, height }, 'bilinear')
    : matched
  const from = dimensionsOf(resized)
  const top = repeatTo(resized, 0, batch).data
  const shares = placement.mask && fitMask(placement.mask, batch, from.height, from.width).data
  const result = copyOf(destination)
  const rows = Math.min(from.height, height - placement.y)
  const columns = Math.min(from.width, width - placement.x)
  for (let b = 0; b < batch; b++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const cell = (b * from.height + y) * from.width + x
        const share = shares === undefined ? 1 : shares[cell]!
        const to = ((b * height + y + placement.y) * width + x + placement.x) * channels
        for (let c = 0; c < channels; c++) {
          const under = result.data[to + c]!
          result.data[to + c] = share * top[cell * channels + c]! + (1 - share) * under
        }
      }
    }
  }
  return result
}

function fitMask(mask: Mask, batch: number, height: number, width: number): Mask {
  return repeatTo(interpolate(mask, PICTURE_HEIGHT_AXIS, { width, height }, 'bilinear'), 0, batch)
}

export interface Padding {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/**
 * Grey room around pictures, and the mask of what is to be painted: 1 in the room,
 * falling to 0 over `featheringPx` inside the picture's padded edges.
 */
export function padForOutpaint(
  image: Image,
  padding: Padding,
  featheringPx: number,
): { image: Image; mask: Mask } {
  const { batch, height, width, channels } = dimensionsOf(image)
  const outerHeight = height + padding.top + padding.bottom
  const outerWidth = width + padding.left + padding.right
  const grey = filled([batch, outerHeight, outerWidth, channels], 0.5)
  const room = { x: padding.left, y: padding.top, resizeSource: false }
  const mask = filled([outerHeight, outerWidth], 1)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y + padding.top) * outerWidth + x + padding.left
      mask.data[at] = featherAt(x, y, { width, height, padding, featheringPx })
    }
  }
  return {
    image: compositePicture(grey, image, room),
    mask: reshape(mask, [1, outerHeight, outerWidth]),
  }
}

interface Feathering {
  readonly width: number
  readonly height: number
  readonly padding: Padding
  readonly featheringPx: number
}

/** The mask at a pixel of the picture: the square of how deep it lies in the feathered edge. */
function featherAt(x: number, y: number, feathering: Feathering): number {
  const { width, height, padding, featheringPx } = feathering
  // ComfyUI leaves small pictures unfeathered.
  if (featheringPx * 2 >= height || featheringPx * 2 >= width) return 0
  const distance = Math.min(
    padding.top === 0 ? height : y,
    padding.bottom === 0 ? height : height - y,
    padding.left === 0 ? width : x,
    padding.right === 0 ? width : width - x,
  )
  return distance >= featheringPx ? 0 : ((featheringPx - distance) / featheringPx) ** 2
}
