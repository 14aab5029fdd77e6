/** How people name the nodes of a prompt: by id, by title, by class. */
import type { JsonValue } from './json.ts'
import type { NodeId } from './workflow.ts'

/** As far as naming goes; a prompt that was just read or converted has no more for certain. */
interface NamedNode {
  readonly class_type?: unknown
  readonly _meta?: { readonly title?: unknown } | JsonValue
}

type NamedPrompt = { readonly [nodeId: NodeId]: NamedNode }

/** A node by its id; otherwise those with this title; otherwise those of this class. */
function findNodes(prompt: NamedPrompt, name: string): NodeId[] {
  if (Object.hasOwn(prompt, name)) return [name]
  const wanted = name.toLowerCase()
  const entries = Object.entries(prompt)
  const isWanted = (text: unknown) => typeof text === 'string' && text.toLowerCase() === wanted
  const titled = entries.filter(([, node]) => isWanted(givenTitle(node)))
  const chosen =
    titled.length > 0 ? titled : entries.filter(([, node]) => isWanted(node.class_type))
  return chosen.map(([id]) => id)
}

/** What a user calls a node. */
export function titleOf(node: NamedNode): string {
  const name = [givenTitle(node), node.class_type].find((one) => typeof one === 'string')
  return name === undefined ? 'a node without a class' : printable(name)
}

/**
 * `KSampler (node 3)`, or `"My sampler" (KSampler, node 3)` where the user named it. One that is not
 * there, or has neither title nor class, is `node 3`.
 */
export function nodeName(prompt: NamedPrompt, nodeId: NodeId): string {
  const node: NamedNode = Object.hasOwn(prompt, nodeId) ? prompt[nodeId]! : {}
  const names = [givenTitle(node), node.class_type].filter((name) => typeof name === 'string')
  const [name, givenClass] = new Set(names.map(printable))
  if (name === undefined) return `node ${nodeId}`
  return givenClass === undefined
    ? `${name} (node ${nodeId})`
    : `"${name}" (${givenClass}, node ${nodeId})`
}

/** A line break or an escape sequence of a stranger's file would spoil the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ')
}

function givenTitle({ _meta: meta }: NamedNode): unknown {
  return typeof meta === 'object' && meta !== null && 'title' in meta ? meta.title : undefined
}

/** An input that `node.input` names, or the several nodes that it could mean. */
export type FoundInput =
  | { readonly nodeId: NodeId; readonly input: string }
  | { readonly ambiguous: readonly NodeId[] }

/**
 * The input that a target such as `6.text` or `KSampler.seed` names; undefined when there is
 * no such node. Titles, ids and inputs may hold dots, so every dot is tried, the last one first.
 */
export function findInput(prompt: NamedPrompt, target: string): FoundInput | undefined {
  let ambiguous: readonly NodeId[] = []
  for (let dot = target.lastIndexOf('.'); dot > 0; dot = target.lastIndexOf('.', dot - 1)) {
    const found = findNodes(prompt, target.slice(0, dot))
    if (found.length === 1) return { nodeId: found[0]!, input: target.slice(dot + 1) }
    if (found.length > 1) ambiguous = found
  }
  return ambiguous.length > 0 ? { ambiguous } : undefined
}
