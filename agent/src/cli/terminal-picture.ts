/** Shows a picture on a terminal: two pixels a character, as coloured half-blocks. */
import sharp from 'sharp'

/** Cells of a terminal are about twice as high as wide, so a half-block is square. */
const UPPER_HALF = '▀'

/** The rows of a picture at most `columns` characters wide and `rows` high. */
export async function pictureRows(path: string, columns: number, rows: number): Promise<string[]> {
  const { data, info } = await sharp(path)
    .removeAlpha()
    .toColourspace('srgb')
    .resize({ width: columns, height: rows * 2, fit: 'inside' })
    .raw()
    .toBuffer({ resolveWithObject: true })
  const colour = (x: number, y: number) => {
    const at = (Math.min(y, info.height - 1) * info.width + x) * info.channels
    return `${data[at]};${data[at + 1]};${data[at + 2]}`
  }
  return Array.from({ length: Math.ceil(info.height / 2) }, (_, row) => {
    const cells = Array.from(
      { length: info.width },
      (_, x) => `\x1b[38;2;${colour(x, 2 * row)};48;2;${colour(x, 2 * row + 1)}m${UPPER_HALF}`,
    )
    return `${cells.join('')}\x1b[0m`
  })
}
