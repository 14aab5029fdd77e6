/**
 * The graph that is open: the drawing, or the inside of one of its subgraphs. An inside is read as a
 * workflow of its own, so that every edit works there as it does outside; what was edited is put back
 * into the document.
 */
import { objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject } from '@comfymesh/protocol/json'
import { type EditorNodeId, listOf, nodeOf, subgraphsOf, type Workflow } from './document.ts'
import { insideOf, putBack } from './subgraph-inside.ts'

/** Instances of subgraphs, each inside of the one before; none for the drawing itself. */
export type Path = readonly EditorNodeId[]

/** The definitions that a path leads through, as far as it leads anywhere. */
export function opened(document: Workflow, path: Path): JsonObject[] {
  const definitions: JsonObject[] = []
  const all = subgraphsOf(document)
  for (const id of path) {
    const node = nodeOf(definitions.at(-1) ?? document, id)
    const definition = node && all.find((one) => one.id === node.type)
    if (definition === undefined) break
    definitions.push(definition)
  }
  return definitions
}

/** As much of the path as leads anywhere. */
export function reached(document: Workflow, path: Path): Path {
  const { length } = opened(document, path)
  return length === path.length ? path : path.slice(0, length)
}

const insides = new WeakMap<Workflow, Map<JsonObject, Workflow>>()

/** The same one for the same document and path. */
export function graphAt(document: Workflow, path: Path): Workflow {
  const definition = opened(document, path).at(-1)
  if (definition === undefined) return document
  const known = insides.get(document) ?? new Map<JsonObject, Workflow>()
  insides.set(document, known)
  const inside = known.get(definition) ?? insideOf(document, definition)
  known.set(definition, inside)
  return inside
}

/** The document with the open graph changed; the same one if `change` changed nothing. */
export function withGraphAt(
  document: Workflow,
  path: Path,
  change: (graph: Workflow) => Workflow,
): Workflow {
  const definition = opened(document, path).at(-1)
  if (definition === undefined) return change(document)
  const before = graphAt(document, path)
  const after = change(before)
  return after === before ? document : putBack(document, definition, before, after)
}

/** Every graph of the document changed: the drawing and the insides of its subgraphs. */
export function withEveryGraph(
  document: Workflow,
  change: (graph: Workflow) => Workflow,
): Workflow {
  return subgraphsOf(document).reduce((changed, { id }) => {
    const definition = subgraphsOf(changed).find((one) => one.id === id)!
    const before = insideOf(changed, definition)
    const after = change(before)
    return after === before ? changed : putBack(changed, definition, before, after)
  }, change(document))
}

/** How many instances of a definition there are: an edit inside changes them all. */
export function instanceCount(document: Workflow, { id }: JsonObject): number {
  return [document, ...subgraphsOf(document)]
    .flatMap((graph) => listOf(graph.nodes))
    .filter((node) => objectOf(node).type === id).length
}

/** `Sampler › Decode`: what the way to the open graph leads through, the outermost first. */
export function pathTitles(document: Workflow, path: Path): string[] {
  return opened(document, path).map((definition, depth) => {
    const graph = depth === 0 ? document : opened(document, path)[depth - 1]!
    const { title } = objectOf(nodeOf(graph, path[depth]!))
    if (typeof title === 'string' && title !== '') return title
    return typeof definition.name === 'string' ? definition.name : 'Subgraph'
  })
}
