/** What the terminal at one of our streams can show. */
import { styleText } from 'node:util'

export interface Terminal {
  readonly isInteractive: boolean
  /** Width in characters; what programs assume where there is no terminal. */
  readonly columns: number
  readonly hasTrueColor: boolean
  paint(style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string): string
}

const USUAL_COLUMNS = 100
const TRUE_COLOR_BITS = 24

/** NO_COLOR and FORCE_COLOR are obeyed as everywhere in Node. */
export function terminalAt(stream: NodeJS.WriteStream): Terminal {
  const depth = stream.isTTY ? stream.getColorDepth() : 1
  return {
    isInteractive: stream.isTTY === true,
    columns: stream.columns ?? USUAL_COLUMNS,
    hasTrueColor: depth === TRUE_COLOR_BITS,
    paint: (style, text) => (depth > 1 ? styleText(style, text) : text),
  }
}
