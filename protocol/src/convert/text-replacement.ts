/**
 * What ComfyUI's frontend does to texts before it sends a prompt: comments and random
 * choices in texts for a model, dates and values of other nodes in file names.
 */

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g

/**
 * Resolves a dynamic prompt: comments go (the rest of a line after `//`, and so of a web
 * address too), `{a|b}` becomes one of its choices, `\{`, `\|` and `\}` stand for themselves.
 * @param random gives numbers from 0 up to 1.
 */
export function resolveDynamicPrompt(text: string, random: () => number): string {
  return chosen(text.replace(COMMENT, ''), random).replace(/\\([{}|])/g, '$1')
}

/** Texts and choices in turn; a choice is a list of such lists. */
type Template = (string | Template[])[]

/** In one pass and without recursion: a stranger's text may nest as deep as it is long. */
function chosen(text: string, random: () => number): string {
  let result = ''
  const waiting = templateOf(text).reverse()
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next === 'string') {
      result += next
      continue
    }
    const choice = next[Math.min(next.length - 1, Math.floor(random() * next.length))]!
    for (const part of choice.toReversed()) waiting.push(part)
  }
  return result
}

/** A brace that is not closed is closed by the end. */
function templateOf(text: string): Template {
  const whole: Template[] = [[]]
  const open = [whole]
  for (const [token] of text.matchAll(/\\[\s\S]?|[{}|]|[^\\{}|]+/g)) {
    const choices = open.at(-1)!
    const isInside = open.length > 1
    if (token === '{') {
      const inner: Template[] = [[]]
      choices.at(-1)!.push(inner)
      open.push(inner)
    } else if (token === '}' && isInside) open.pop()
    else if (token === '|' && isInside) choices.push([])
    else choices.at(-1)!.push(token)
  }
  return whole[0]!
}

/** Where `%...%` finds the time and the other nodes. */
export interface ReplacementSource {
  /** Local time. */
  readonly now: Date
  /** What a widget of another node holds; undefined when there is no such node or widget. */
  readonly widgetValue: (node: string, widget: string) => string | undefined
}

/** What no file name may hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is meant
const UNFIT_FOR_NAMES = /[/?<>\\:*|"\x00-\x1f\x7f]/g

/**
 * Replaces `%date:yyyy-MM-dd%` and `%Node.widget%`. What is unknown stays: `%width%`,
 * `%year%` and others are replaced by the server when it saves.
 */
export function replaceInText(text: string, source: ReplacementSource): string {
  return text.replace(/%([^%]+)%/g, (all, name: string) => {
    const parts = name.split('.')
    if (parts.length === 2) {
      return source.widgetValue(parts[0]!, parts[1]!)?.replace(UNFIT_FOR_NAMES, '_') ?? all
    }
    return parts[0]!.startsWith('date:')
      ? formatDate(parts[0]!.slice('date:'.length), source.now)
      : all
  })
}

/** d, M, h, m and s once or twice (with a leading zero), yy and yyyy. */
function formatDate(format: string, date: Date): string {
  const numbers: { readonly [letter: string]: number } = {
    d: date.getDate(),
    M: date.getMonth() + 1,
    h: date.getHours(),
    m: date.getMinutes(),
    s: date.getSeconds(),
  }
  return format.replace(/dd?|MM?|hh?|mm?|ss?|yyy?y?/g, (part) => {
    const number = numbers[part[0]!]
    if (number !== undefined) return String(number).padStart(part.length, '0')
    const year = String(date.getFullYear())
    return part === 'yyyy' ? year : part === 'yy' ? year.slice(2) : part
  })
}
