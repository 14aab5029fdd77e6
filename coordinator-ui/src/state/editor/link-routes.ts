/** The way of each link through the points that ComfyUI's users drew it around. */
import { objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonValue } from '@comfymesh/protocol/json'
import { type LinkId, listOf, type Point, type Workflow } from './document.ts'
import { pairOf } from './node-view.ts'

export type PointId = string

export interface RoutePoint extends Point {
  readonly id: PointId
}

/** From the output on; links that go straight are not listed. */
export function linkRoutes(workflow: Workflow): ReadonlyMap<LinkId, readonly RoutePoint[]> {
  const { extra, reroutes, links } = workflow
  const inside = objectOf(extra)
  const points = new Map(
    [...listOf(reroutes), ...listOf(inside.reroutes)].map((one) => {
      const { id, pos, parentId } = objectOf(one)
      const [x, y] = pairOf(pos)
      return [String(id), { x, y, parentId }]
    }),
  )
  const routes = new Map<LinkId, readonly RoutePoint[]>()
  for (const link of [...listOf(inside.linkExtensions), ...listOf(links)]) {
    const { id, parentId } = objectOf(link)
    if (id === undefined || parentId === undefined) continue
    routes.set(String(id), routeTo(parentId, points))
  }
  return routes
}

/** A link names the last of its points; each names the one before. */
function routeTo(
  last: JsonValue,
  points: ReadonlyMap<string, Point & { readonly parentId: JsonValue | undefined }>,
): RoutePoint[] {
  const route: RoutePoint[] = []
  const seen = new Set<string>()
  for (let id: JsonValue | undefined = last; id !== undefined && !seen.has(String(id)); ) {
    seen.add(String(id))
    const point = points.get(String(id))
    if (point === undefined) break
    route.unshift({ id: String(id), x: point.x, y: point.y })
    id = point.parentId
  }
  return route
}

/** Between which two of the points, in their order, a place lies: 0 between the first two. */
export function segmentAt(points: readonly Point[], place: Point): number {
  const distance = (one: Point, other: Point) => Math.hypot(one.x - other.x, one.y - other.y)
  const detours = points
    .slice(1)
    .map(
      (end, at) => distance(points[at]!, place) + distance(place, end) - distance(points[at]!, end),
    )
  return detours.indexOf(Math.min(...detours))
}
