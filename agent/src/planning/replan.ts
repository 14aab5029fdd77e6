/** A plan for what is left of a job while parts of it run on, and the peers with their work so far. */

import type { JobState } from '@comfymesh/protocol/job'
import { isOpen } from '@comfymesh/protocol/job-stages'
import type { Plan, PlanEdge } from '@comfymesh/protocol/plan'
import type { HeldValue, PlanInput } from './basis.ts'
import { valueKey } from './group.ts'
import type { PeerOffer } from './peers.ts'
import { planJob } from './plan.ts'

/** How far a plan was carried out. */
export interface Progress {
  readonly plan: Plan
  /** Ids of its stages that run on, on the peers where they are. */
  readonly running: ReadonlySet<string>
}

/**
 * Plans what is neither made nor being made. Stages that run on peers that are present stay in the
 * plan as they are, and what they will make is waited for.
 * @param input as for the first plan; what finished stages made is in `held`.
 * @throws MeshError as planJob.
 */
export function replan(input: PlanInput, { plan, running }: Progress): Plan {
  const present = new Set(
    input.peers.flatMap(({ absence, advertisement }) =>
      absence === undefined ? [advertisement.peerId] : [],
    ),
  )
  const places = plan.placements.filter(
    ({ stageId, peerId }) => running.has(stageId) && present.has(peerId),
  )
  const peerOf = new Map(places.map(({ stageId, peerId }) => [stageId, peerId]))
  const going = plan.stages.filter(({ id }) => peerOf.has(id))
  if (going.length === 0) return planJob(input)
  const coming = going.flatMap(({ id, outputs }) =>
    outputs.map(({ nodeId, slot }): HeldValue => ({ nodeId, slot, peerIds: [peerOf.get(id)!] })),
  )
  const goingNodes = new Set(going.flatMap(({ nodes }) => nodes.map(({ id }) => id)))
  const rest = planJob({
    ...input,
    outputs: input.outputs.filter((id) => !goingNodes.has(id)),
    held: [...(input.held ?? []), ...coming],
  })
  const makers = new Map(
    going.flatMap(({ id, outputs }) =>
      outputs.map(({ nodeId, slot }) => [valueKey(nodeId, slot), id]),
    ),
  )
  const edges = rest.edges.map((edge): PlanEdge => {
    const from = edge.from ?? makers.get(valueKey(edge.nodeId, edge.slot))
    return from === undefined ? edge : { ...edge, from }
  })
  const linked = rest.stages.map((stage) => {
    const sources = edges.flatMap(({ from, to }) => (to === stage.id && from ? [from] : []))
    return { ...stage, after: [...new Set([...stage.after, ...sources])] }
  })
  return {
    ...rest,
    stages: [...going, ...linked],
    edges: [...plan.edges.filter(({ to }) => peerOf.has(to)), ...edges],
    placements: [...places, ...rest.placements],
  }
}

/** What jobs that run have still to do on each peer, as their plans estimate it, in milliseconds. */
export function plannedWork(
  jobs: readonly Pick<JobState, 'plan' | 'stages' | 'attempts'>[],
  nowMs: number,
): Map<string, number> {
  const work = new Map<string, number>()
  for (const { plan, stages, attempts } of jobs) {
    const finished = new Set(stages.map(({ stageId }) => stageId))
    for (const { stageId, peerId, estimate } of plan?.placements ?? []) {
      if (finished.has(stageId)) continue
      const begun = attempts.find((attempt) => isOpen(attempt) && attempt.stageId === stageId)
      const doneMs = begun?.beganAtMs === undefined ? 0 : nowMs - begun.beganAtMs
      const leftMs = Math.max(0, estimate.loadMs + estimate.computeMs - doneMs)
      work.set(peerId, (work.get(peerId) ?? 0) + leftMs)
    }
  }
  return work
}

/**
 * The peers once they have this work to do as well: for planning the job after it. What a peer
 * says of itself counts where it is more; it may include the same work, so they are not added.
 */
export function offersWith(
  offers: readonly PeerOffer[],
  work: ReadonlyMap<string, number>,
): PeerOffer[] {
  return offers.map((offer) => {
    const ownMs = work.get(offer.advertisement.peerId)
    return ownMs === undefined ? offer : { ...offer, waitMs: Math.max(ownMs, offer.waitMs ?? 0) }
  })
}
