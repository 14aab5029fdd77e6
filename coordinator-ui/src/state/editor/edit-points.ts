/** Edits of the points that links are led around; several links may go through one. */
import { isObject, objectOf } from '@comfymesh/protocol/convert/document'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  hasArrayLinks,
  type LinkId,
  listOf,
  type Point,
  type Workflow,
  without,
} from './document.ts'
import { linkRoutes, type PointId } from './link-routes.ts'
import { pairOf } from './node-view.ts'

/** The same workflow where the point stands there already. */
export function movePoint(workflow: Workflow, id: PointId, { x, y }: Point): Workflow {
  const pos = [Math.round(x), Math.round(y)]
  const stands = (point: JsonObject) =>
    pairOf(point.pos).every((value, axis) => Math.round(value) === pos[axis])
  return withPoints(workflow, (points) =>
    points.map((point) =>
      isObject(point) && isPoint(point, id) && !stands(point) ? { ...point, pos } : point,
    ),
  )
}

/**
 * Leads a link around one more point.
 * @param at how many points it goes through before.
 */
export function addPoint(
  workflow: Workflow,
  linkId: LinkId,
  at: number,
  { x, y }: Point,
): Workflow {
  const route = linkRoutes(workflow).get(linkId) ?? []
  const points = allPoints(workflow)
  const pointOf = (index: number) => points.find((point) => isPoint(point, route[index]?.id))
  const [before, after] = [pointOf(at - 1), pointOf(at)]
  const ids = points.map(({ id }) => Number(id) || 0)
  const id = Math.max(0, Number(objectOf(workflow.state).lastRerouteId) || 0, ...ids) + 1
  const added: JsonObject = {
    id,
    ...(before?.id !== undefined && { parentId: before.id }),
    pos: [Math.round(x), Math.round(y)],
    // Whoever goes through the next one comes by this one.
    linkIds: after === undefined ? [Number(linkId)] : [...listOf(after.linkIds)],
  }
  const linked =
    after === undefined
      ? withLastPoint(workflow, linkId, id)
      : withPoints(workflow, (list) =>
          list.map((one) => (one === after ? { ...after, parentId: id } : one)),
        )
  return withLastPointId(
    withHolder(linked, (list) => [...list, added]),
    id,
  )
}

/** The links go on by what was before and after it. */
export function removePoint(workflow: Workflow, id: PointId): Workflow {
  const removed = allPoints(workflow).find((point) => isPoint(point, id))
  if (removed === undefined) return workflow
  const inherited = (one: JsonValue): JsonValue => {
    if (!isObject(one) || String(one.parentId) !== id) return one
    return removed.parentId === undefined
      ? without(one, 'parentId')
      : { ...one, parentId: removed.parentId }
  }
  const bridged = withPoints(workflow, (points) =>
    points.filter((point) => !isPoint(point, id)).map(inherited),
  )
  const { extra } = bridged
  const links = listOf(bridged.links).map((link) => (Array.isArray(link) ? link : inherited(link)))
  if (!isObject(extra) || !Array.isArray(extra.linkExtensions)) return { ...bridged, links }
  const extensions = extra.linkExtensions.flatMap((one) => {
    const now = inherited(one)
    return now !== one && saysNothing(now) ? [] : [now]
  })
  return { ...bridged, links, extra: { ...extra, linkExtensions: extensions } }
}

/** Of an entry about a link: nothing but which link it is. */
const saysNothing = (extension: JsonValue): boolean =>
  Object.keys(objectOf(extension)).every((name) => name === 'id')

const isPoint = (point: JsonValue, id: PointId | undefined): boolean =>
  id !== undefined && String(objectOf(point).id) === id

const allPoints = ({ reroutes, extra }: Workflow): JsonObject[] =>
  [...listOf(reroutes), ...listOf(objectOf(extra).reroutes)].filter(isObject)

type Change = (points: readonly JsonValue[]) => JsonValue[]

/** They stand beside the links, or in `extra` where links are lists. */
function withPoints(workflow: Workflow, change: Change): Workflow {
  const { extra } = workflow
  const here = withPointsOf(workflow, change)
  if (!isObject(extra)) return here
  const inside = withPointsOf(extra, change)
  return inside === extra ? here : { ...here, extra: inside }
}

function withPointsOf(holder: JsonObject, change: Change): JsonObject {
  const { reroutes } = holder
  if (!Array.isArray(reroutes)) return holder
  const changed = change(reroutes)
  const isSame =
    changed.length === reroutes.length && changed.every((one, at) => one === reroutes[at])
  return isSame ? holder : { ...holder, reroutes: changed }
}

function withHolder(workflow: Workflow, change: Change): Workflow {
  if (!hasArrayLinks(workflow)) return { ...workflow, reroutes: change(listOf(workflow.reroutes)) }
  const extra = objectOf(workflow.extra)
  return { ...workflow, extra: { ...extra, reroutes: change(listOf(extra.reroutes)) } }
}

/** A link names the last point that it goes through. */
function withLastPoint(workflow: Workflow, linkId: LinkId, parentId: number): Workflow {
  if (!hasArrayLinks(workflow)) {
    const links = listOf(workflow.links).map((link) =>
      String(objectOf(link).id) === linkId ? { ...objectOf(link), parentId } : link,
    )
    return { ...workflow, links }
  }
  const extra = objectOf(workflow.extra)
  const before = listOf(extra.linkExtensions)
  const isOwn = (one: JsonValue) => String(objectOf(one).id) === linkId
  const linkExtensions = before.some(isOwn)
    ? before.map((one) => (isOwn(one) ? { ...objectOf(one), parentId } : one))
    : [...before, { id: Number(linkId), parentId }]
  return { ...workflow, extra: { ...extra, linkExtensions } }
}

function withLastPointId(workflow: Workflow, id: number): Workflow {
  const { state } = workflow
  return isObject(state) ? { ...workflow, state: { ...state, lastRerouteId: id } } : workflow
}
