/** What to tell of a node that nobody has: the same words for a drawing and for a prompt. Pure. */

/** @param className as the file has it. */
export function unknownClassMessage(className: string): string {
  if (/^workflow[>/]/.test(className)) {
    return `${className} is a group node, which is not supported. Ungroup it, or make it a subgraph.`
  }
  return (
    `There is no node ${className} here, and custom nodes cannot be added to comfymesh. ` +
    'Take it out, bypass it, or replace it with nodes that GET /object_info lists.'
  )
}
