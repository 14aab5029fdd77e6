/** Finds what was meant by some letters: nodes to add, options to choose. */
import { typesFit } from '@comfymesh/protocol/convert/slot-types'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import { emptyWorkflow } from './document.ts'
import { fittingInput } from './fitting-links.ts'
import { virtualNodes } from './new-node.ts'
import { nodeView } from './node-view.ts'

export interface Choice {
  /** What is chosen by it. */
  readonly id: string
  readonly label: string
  /** Beside the label, and searched too. */
  readonly detail?: string
  /** More words by which it is found. */
  readonly keywords?: string
}

/** What the letters fit, the best first; all of it, as it came, for no letters. */
export function search(choices: readonly Choice[], typed: string): Choice[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...choices]
  return choices
    .map((choice) => ({ choice, score: scoreOf(choice, words) }))
    .filter(({ score }) => score > 0)
    .toSorted((one, other) => other.score - one.score)
    .map(({ choice }) => choice)
}

/** Every word must be found somewhere; the label counts more than what stands beside it. */
function scoreOf({ label, detail = '', keywords = '' }: Choice, words: readonly string[]): number {
  let sum = 0
  for (const word of words) {
    const best = Math.max(
      4 * fuzzyScore(label, word),
      3 * fuzzyScore(keywords, word),
      fuzzyScore(detail, word),
    )
    if (best === 0) return 0
    sum += best
  }
  // Of two that fit alike, the shorter one is meant.
  return sum - label.length / 1000
}

/** 1 for the same text, less for a start, a word, a part, and letters in their order; 0 for none. */
export function fuzzyScore(text: string, word: string): number {
  const lower = text.toLowerCase()
  if (lower === word) return 1
  const at = lower.indexOf(word)
  if (at === 0) return 0.9
  if (at > 0) return isWordStart(text, at) ? 0.8 : 0.6
  return inOrderScore(text, lower, word)
}

const isWordStart = (text: string, at: number): boolean =>
  !/[a-z0-9]/i.test(text[at - 1] ?? '') || /[a-z0-9][A-Z]/.test(text.slice(at - 1, at + 1))

/** `cts` finds `CLIPTextSave`: the more letters that begin words, the better. */
function inOrderScore(text: string, lower: string, word: string): number {
  let at = -1
  let starts = 0
  for (const letter of word) {
    at = lower.indexOf(letter, at + 1)
    if (at < 0) return 0
    if (at === 0 || isWordStart(text, at)) starts++
  }
  const share = starts / word.length
  // Letters here and there in a long text say nothing.
  return share < 0.5 ? 0 : 0.2 + share * 0.2
}

/** A loose end of a link: what is added must fit it. */
export interface LooseEnd {
  readonly side: 'output' | 'input'
  readonly type: string
}

/** The nodes that can be added, by category; with a loose end only those that fit it. */
export function nodeChoices(definitions: NodeDefinitions, end?: LooseEnd): Choice[] {
  const known = Object.entries(definitions)
    .filter(([type, definition]) => end === undefined || fits(type, definition, definitions, end))
    .map(([type, { display_name: name, category }]): Choice => {
      return { id: type, label: name || type, detail: category, keywords: type }
    })
  const drawn = Object.keys(virtualNodes)
    .filter((type) => end === undefined || (isPassing[type]?.(end) ?? false))
    .map((type): Choice => ({ id: type, label: type, detail: 'drawing', keywords: 'comment text' }))
  return [...known, ...drawn].toSorted((one, other) => {
    const byExactness = exactness(definitions[other.id], end) - exactness(definitions[one.id], end)
    return byExactness || one.label.localeCompare(other.label)
  })
}

const WIDGET_TYPES = new Set(['INT', 'FLOAT', 'STRING', 'BOOLEAN', 'COMBO'])

/** Which nodes of the drawing alone have a socket for a loose end. */
const isPassing: { readonly [type: string]: (end: LooseEnd) => boolean } = {
  Reroute: () => true,
  PrimitiveNode: ({ side, type }) => side === 'input' && WIDGET_TYPES.has(type),
}

function fits(
  type: string,
  definition: NodeDefinition,
  definitions: NodeDefinitions,
  end: LooseEnd,
): boolean {
  if (end.side === 'input') return definition.output.some((one) => typesFit(String(one), end.type))
  const node: JsonObject = { id: 0, type }
  return fittingInput(nodeView(node, emptyWorkflow(), definitions), end.type) !== undefined
}

/** Those that name the type come before those that take anything. */
function exactness(definition: NodeDefinition | undefined, end: LooseEnd | undefined): number {
  if (definition === undefined || end === undefined) return 0
  const types =
    end.side === 'input'
      ? definition.output
      : Object.values({ ...definition.input.required, ...definition.input.optional }).map(
          ([type]) => type,
        )
  return Number(types.includes(end.type))
}
