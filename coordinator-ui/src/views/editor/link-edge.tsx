/** A link, by way of the points that it is led around. */
import {
  BaseEdge,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  getBezierPath,
  Position,
  useReactFlow,
} from '@xyflow/react'
import { memo, useState } from 'react'
import type { Point } from '../../state/editor/document.ts'
import { addPoint, movePoint, removePoint } from '../../state/editor/edit-points.ts'
import { edit } from '../../state/editor/editor.ts'
import { type RoutePoint, segmentAt } from '../../state/editor/link-routes.ts'
import { useEditorContext } from './editor-context.ts'

export type LinkEdgeData = Edge<{ readonly route: readonly RoutePoint[] }, 'link'>

export const LinkEdge = memo((props: EdgeProps<LinkEdgeData>) => {
  const { id, sourceX, sourceY, targetX, targetY, data, style } = props
  const { isReadOnly } = useEditorContext()
  const { screenToFlowPosition } = useReactFlow()
  const [dragged, setDragged] = useState<RoutePoint>()
  const route = (data?.route ?? []).map((point) => (point.id === dragged?.id ? dragged : point))
  const points = [{ x: sourceX, y: sourceY }, ...route, { x: targetX, y: targetY }]
  const path = points.slice(1).map((end, at) => pathBetween(points[at]!, end))
  const addAt = ({ clientX: x, clientY: y }: { clientX: number; clientY: number }) => {
    const place = screenToFlowPosition({ x, y })
    edit((graph) => addPoint(graph, id, segmentAt(points, place), place))
  }
  return (
    <>
      <g {...(!isReadOnly && { onDoubleClick: addAt })}>
        <BaseEdge id={id} path={path.join(' ')} {...(style && { style })} interactionWidth={14} />
      </g>
      <EdgeLabelRenderer>
        {route.map((point) => (
          <LinkPoint
            key={point.id}
            point={point}
            colour={String(style?.stroke)}
            isDragged={point.id === dragged?.id}
            isReadOnly={isReadOnly}
            onDrag={setDragged}
          />
        ))}
      </EdgeLabelRenderer>
    </>
  )
})

interface LinkPointProps {
  readonly point: RoutePoint
  readonly colour: string
  readonly isDragged: boolean
  readonly isReadOnly: boolean
  /** Where it is on its way; undefined when it has arrived. */
  readonly onDrag: (point: RoutePoint | undefined) => void
}

const STEP = 10

const STEPS: { readonly [key: string]: Point } = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
}

function LinkPoint({ point, colour, isDragged, isReadOnly, onDrag }: LinkPointProps) {
  const { screenToFlowPosition } = useReactFlow()
  const { id, x, y } = point
  const style = { transform: `translate(-50%, -50%) translate(${x}px, ${y}px)`, background: colour }
  const press = (event: React.KeyboardEvent) => {
    const step = STEPS[event.key]
    if (step !== undefined) {
      edit((graph) => movePoint(graph, id, { x: x + step.x, y: y + step.y }), `point ${id}`)
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      edit((graph) => removePoint(graph, id))
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <button
      type="button"
      className="link-point nodrag nopan"
      aria-label="A point that links go through. Arrow keys move it, Delete takes it away."
      title="Drag to move, Delete to take away"
      disabled={isReadOnly}
      style={style}
      onKeyDown={press}
      onPointerDown={({ currentTarget, pointerId }) => currentTarget.setPointerCapture(pointerId)}
      onPointerMove={({ currentTarget, pointerId, clientX, clientY }) => {
        if (!currentTarget.hasPointerCapture(pointerId)) return
        onDrag({ id, ...screenToFlowPosition({ x: clientX, y: clientY }) })
      }}
      onPointerUp={() => {
        if (isDragged) edit((graph) => movePoint(graph, id, { x, y }))
        onDrag(undefined)
      }}
      onPointerCancel={() => onDrag(undefined)}
    />
  )
}

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
