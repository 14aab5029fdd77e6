/** Adds a node that is searched for, and links it to what was dragged into the empty space. */
import type { Point } from '../../state/editor/document.ts'
import { connectToNode, type LooseLink } from '../../state/editor/edit-links.ts'
import { addNode } from '../../state/editor/edit-nodes.ts'
import { edit } from '../../state/editor/editor.ts'
import { newNode, SLOT_HEIGHT, TITLE_HEIGHT } from '../../state/editor/new-node.ts'
import { pairOf } from '../../state/editor/node-view.ts'
import { nodeChoices } from '../../state/editor/search.ts'
import { useEditorContext } from './editor-context.ts'
import { useSelection } from './use-selection.ts'

/** How far below the corner of a node its first socket is. */
const FIRST_SOCKET = TITLE_HEIGHT + SLOT_HEIGHT / 2

export function useAddNode() {
  const { definitions, pick } = useEditorContext()
  const { select } = useSelection()

  /** @param at of the page. @param place on the drawing. @param loose is linked to the new node. */
  function addAt(at: Point, place: Point, loose?: LooseLink): void {
    pick({
      label: loose === undefined ? 'Add a node' : `Add a node for ${loose.type}`,
      at,
      choices: nodeChoices(definitions, loose),
      onChoose: (type) => select(add(type, place, loose)),
    })
  }

  function add(type: string, { x, y }: Point, loose: LooseLink | undefined): ReadonlySet<string> {
    const node = newNode(type, { x, y: y + TITLE_HEIGHT }, definitions)
    if (node === undefined) return new Set()
    const [width] = pairOf(node.size)
    // The socket that is linked comes under the pointer.
    const corner =
      loose === undefined
        ? node.pos!
        : [
            Math.round(loose.side === 'output' ? x : x - width),
            Math.round(y - FIRST_SOCKET + TITLE_HEIGHT),
          ]
    let id = ''
    edit((workflow) => {
      const added = addNode(workflow, { ...node, pos: corner })
      id = added.id
      return loose === undefined
        ? added.workflow
        : connectToNode(added.workflow, loose, added.id, definitions)
    })
    return new Set([id])
  }
  return { addAt }
}
