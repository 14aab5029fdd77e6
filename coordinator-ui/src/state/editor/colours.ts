/** The colours that ComfyUI's users give their nodes, and what can be read on a colour. */
import type { NodeColour } from './edit-nodes.ts'

/** The names and colours of ComfyUI's menu. */
export const nodeColours: { readonly [name: string]: NodeColour } = {
  red: { color: '#322', bgcolor: '#533' },
  brown: { color: '#332922', bgcolor: '#593930' },
  green: { color: '#232', bgcolor: '#353' },
  blue: { color: '#223', bgcolor: '#335' },
  'pale blue': { color: '#2a363b', bgcolor: '#3f5159' },
  cyan: { color: '#233', bgcolor: '#355' },
  purple: { color: '#323', bgcolor: '#535' },
  yellow: { color: '#432', bgcolor: '#653' },
  black: { color: '#222', bgcolor: '#000' },
}

/** The parts of `#rgb` or `#rrggbb`, 0 to 255; undefined for what is no such colour. */
export function partsOf(colour: string): readonly [number, number, number] | undefined {
  const digits = /^#([0-9a-f]{3}|[0-9a-f]{6})(?:[0-9a-f]{2})?$/i.exec(colour)?.[1]
  if (digits === undefined) return undefined
  const long = digits.length === 3 ? [...digits].map((one) => one + one).join('') : digits
  return [0, 2, 4].map((at) => Number.parseInt(long.slice(at, at + 2), 16)) as unknown as [
    number,
    number,
    number,
  ]
}

const LIGHT: readonly [number, number, number] = [255, 255, 255]
const DARK: readonly [number, number, number] = [30, 31, 35]

/**
 * A file's colour as a ground that the page's text can be read on: files are drawn for dark
 * grounds, so in the light scheme a colour is a tint.
 */
export function groundOf(colour: string, scheme: 'light' | 'dark'): string | undefined {
  const parts = partsOf(colour)
  if (parts === undefined) return undefined
  if (scheme === 'light') return mixed(saturated(parts), LIGHT, 0.15)
  const share = luminance(parts) > 0.12 ? 0.12 / luminance(parts) : 0.8
  return mixed(parts, DARK, Math.min(0.8, share))
}

/** A dark colour at full light, so that its tint is one. */
function saturated(parts: readonly number[]): readonly number[] {
  const most = Math.max(...parts)
  return most === 0 ? [120, 120, 120] : parts.map((part) => (part / most) ** 2 * 255)
}

function mixed(one: readonly number[], other: readonly number[], share: number): string {
  const parts = one.map((part, at) => Math.round(part * share + other[at]! * (1 - share)))
  return `rgb(${parts.join(' ')})`
}

/** As in WCAG 2: 0 for black, 1 for white. */
function luminance(parts: readonly number[]): number {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}
