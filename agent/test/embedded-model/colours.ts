/**
 * Names the colour of each pixel: the nearest of twelve references in CIE Lab (D65), lightness
 * counted half, so that soft shading does not change a name.
 */

const REFERENCE = {
  red: [220, 38, 38],
  orange: [249, 128, 18],
  yellow: [250, 212, 30],
  green: [34, 160, 70],
  cyan: [40, 205, 222],
  blue: [37, 80, 220],
  purple: [128, 48, 190],
  pink: [250, 128, 182],
  white: [250, 250, 250],
  black: [22, 22, 26],
  gray: [130, 134, 140],
  brown: [124, 74, 38],
} as const satisfies { readonly [name: string]: Triple }

type Triple = readonly [number, number, number]

export type Colour = keyof typeof REFERENCE

export const colours = Object.keys(REFERENCE) as Colour[]

const references = Object.values(REFERENCE).map(lab)

/** An index into `colours` for each pixel of a square picture. */
export interface ColourMap {
  readonly side: number
  readonly names: Uint8Array
}

/** @param pixels RGB bytes of a square picture. */
export function nameColours(pixels: Uint8Array): ColourMap {
  const names = new Uint8Array(pixels.length / 3)
  for (let at = 0; at < names.length; at++) {
    names[at] = nearest(lab([pixels[3 * at]!, pixels[3 * at + 1]!, pixels[3 * at + 2]!]))
  }
  return { side: Math.sqrt(names.length), names }
}

function nearest(colour: Triple): number {
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (const [index, reference] of references.entries()) {
    const distance =
      (colour[0] - reference[0]) ** 2 +
      (colour[1] - reference[1]) ** 2 +
      (colour[2] - reference[2]) ** 2
    if (distance >= least) continue
    least = distance
    best = index
  }
  return best
}

/** sRGB bytes to Lab with lightness halved. */
function lab([red, green, blue]: Triple): Triple {
  const [r, g, b] = [linear(red), linear(green), linear(blue)]
  const x = curve((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505)
  const y = curve(0.2126 * r + 0.7152 * g + 0.0722 * b)
  const z = curve((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
  return [(116 * y - 16) / 2, 500 * (x - y), 200 * (y - z)]
}

function linear(byte: number): number {
  const c = byte / 255
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
}

function curve(value: number): number {
  return value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116
}
