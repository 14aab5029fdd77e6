/** Where the nodes of a prompt are drawn, which names those inside of subgraphs by the way to them. */
import { readDocument } from '@comfymesh/protocol/convert/document'
import { promptIds } from '@comfymesh/protocol/convert/prompt-ids'
import type { EditorNodeId, Workflow } from './document.ts'
import { opened, type Path } from './open-graph.ts'

/** Where the node of a prompt is drawn: prompts name inner nodes by the way to them, `10:50`. */
export function placeOf(
  document: Workflow,
  promptId: string,
): { readonly path: Path; readonly id: EditorNodeId } {
  const [first = '', ...inner] = promptId.split(':')
  const path: EditorNodeId[] = []
  let id = first
  for (const promptPart of inner) {
    path.push(id)
    const definition = opened(document, path).at(-1)
    id = fileIds(document).get(`${definition?.id} ${promptPart}`) ?? promptPart
  }
  return { path, id }
}

/** For the nodes of a prompt: as which node of the open graph each is seen, if it is. */
export function drawnIn(
  document: Workflow,
  path: Path,
): (promptId: string) => EditorNodeId | undefined {
  return (promptId) => {
    const place = placeOf(document, promptId)
    if (!path.every((id, depth) => place.path[depth] === id)) return undefined
    return place.path[path.length] ?? place.id
  }
}

const knownFileIds = new WeakMap<Workflow, ReadonlyMap<string, EditorNodeId>>()

/** By definition and the id in a prompt, the id in the file: a prompt has other ones where two are alike. */
function fileIds(document: Workflow): ReadonlyMap<string, EditorNodeId> {
  const known = knownFileIds.get(document)
  if (known !== undefined) return known
  const read = readDocument(document, () => {})
  const idOf = promptIds(read)
  const ids = new Map(
    [...read.subgraphs].flatMap(([definitionId, { nodes }]) =>
      [...nodes.keys()].map((id) => [`${definitionId} ${idOf(definitionId, id)}`, id] as const),
    ),
  )
  knownFileIds.set(document, ids)
  return ids
}
