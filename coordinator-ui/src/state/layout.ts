/** Where the nodes of a prompt stand when no workflow says it: in columns, along the links. Pure. */
import { isLink, type NodeId, type Prompt } from '@comfymesh/protocol/workflow'

export interface Position {
  readonly x: number
  readonly y: number
}

export interface LayoutSizes {
  readonly width: number
  readonly gapX: number
  readonly gapY: number
  readonly height: (nodeId: NodeId) => number
}

/**
 * Each node one column right of the last node that it needs; in a column, from top to bottom
 * in the order of what they need. Nodes of a cycle stand in the first column.
 */
export function layout(prompt: Prompt, sizes: LayoutSizes): Map<NodeId, Position> {
  const columns = columnsOf(prompt)
  const positions = new Map<NodeId, Position>()
  const byColumn: NodeId[][] = []
  for (const [id, column] of columns) {
    byColumn[column] ??= []
    byColumn[column].push(id)
  }
  byColumn.forEach((ids, column) => {
    const wish = (id: NodeId) =>
      meanOf(sourcesOf(prompt, id).map((source) => positions.get(source)?.y))
    const ordered = ids.toSorted((a, b) => wish(a) - wish(b))
    let y = 0
    for (const id of ordered) {
      y = Math.max(y, column === 0 ? 0 : wish(id))
      positions.set(id, { x: column * (sizes.width + sizes.gapX), y })
      y += sizes.height(id) + sizes.gapY
    }
  })
  return positions
}

function columnsOf(prompt: Prompt): Map<NodeId, number> {
  const columns = new Map(Object.keys(prompt).map((id) => [id, 0]))
  // A column more in each round, until nothing moves; a cycle would move for ever.
  for (let round = 0; round < columns.size; round++) {
    let hasMoved = false
    for (const id of columns.keys()) {
      const wanted = Math.max(0, ...sourcesOf(prompt, id).map((source) => columns.get(source)! + 1))
      if (wanted <= columns.get(id)!) continue
      columns.set(id, wanted)
      hasMoved = true
    }
    if (!hasMoved) return columns
  }
  return new Map(Object.keys(prompt).map((id) => [id, 0]))
}

function sourcesOf(prompt: Prompt, id: NodeId): NodeId[] {
  return Object.values(prompt[id]!.inputs)
    .filter(isLink)
    .map(([source]) => source)
    .filter((source) => prompt[source] !== undefined)
}

function meanOf(values: readonly (number | undefined)[]): number {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length
}
