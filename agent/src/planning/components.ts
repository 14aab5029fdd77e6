/** Groups of nodes that depend on each other in a circle (Tarjan's algorithm). */

interface Visit {
  readonly index: number
  low: number
  isOpen: boolean
}

/**
 * The strongly connected components of a graph, each after those that its members lead to.
 * Keeps its own stack: prompts are thousands of nodes deep.
 */
export function stronglyConnected<T>(
  nodes: readonly T[],
  neighbours: (node: T) => readonly T[],
): T[][] {
  const visits = new Map<T, Visit>()
  const open: T[] = []
  const found: T[][] = []
  const enter = (node: T) => {
    visits.set(node, { index: visits.size, low: visits.size, isOpen: true })
    open.push(node)
    return { node, rest: neighbours(node).values() }
  }
  for (const root of nodes) {
    if (visits.has(root)) continue
    const path = [enter(root)]
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const visit = visits.get(top.node)!
      const { value: next, done } = top.rest.next()
      if (!done) {
        const known = visits.get(next)
        if (known === undefined) path.push(enter(next))
        else if (known.isOpen) visit.low = Math.min(visit.low, known.index)
        continue
      }
      path.pop()
      const parent = path.at(-1)
      if (parent) visits.get(parent.node)!.low = Math.min(visits.get(parent.node)!.low, visit.low)
      if (visit.low === visit.index) found.push(close(top.node, open, visits))
    }
  }
  return found
}

function close<T>(root: T, open: T[], visits: ReadonlyMap<T, Visit>): T[] {
  const component = open.splice(open.lastIndexOf(root))
  for (const node of component) visits.get(node)!.isOpen = false
  return component
}
