/** A link, by way of the points that it was drawn around. */
import { BaseEdge, type Edge, type EdgeProps, getBezierPath, Position } from '@xyflow/react'
import { memo } from 'react'
import type { Point } from '../../state/editor/document.ts'

export type LinkEdgeData = Edge<{ readonly route: readonly Point[] }, 'link'>

export const LinkEdge = memo((props: EdgeProps<LinkEdgeData>) => {
  const { id, sourceX, sourceY, targetX, targetY, data, style } = props
  const points = [{ x: sourceX, y: sourceY }, ...(data?.route ?? []), { x: targetX, y: targetY }]
  const path = points.slice(1).map((end, at) => pathBetween(points[at]!, end))
  return (
    <>
      <BaseEdge id={id} path={path.join(' ')} {...(style && { style })} interactionWidth={14} />
      {data?.route.map(({ x, y }) => (
        <circle key={`${x} ${y}`} cx={x} cy={y} r={4} fill={String(style?.stroke)} />
      ))}
    </>
  )
})

function pathBetween(start: Point, end: Point): string {
  const [path] = getBezierPath({
    sourceX: start.x,
    sourceY: start.y,
    sourcePosition: Position.Right,
    targetX: end.x,
    targetY: end.y,
    targetPosition: Position.Left,
  })
  return path
}
