/** A plan for what is left of a job, and a mesh that has a plan to carry out already. */
import type { Plan } from '@comfymesh/protocol/plan'
import type { HeldValue, PlanInput } from './basis.ts'
import type { PeerOffer } from './peers.ts'
import { planJob } from './plan.ts'

/** How far a plan was carried out. */
export interface Progress {
  readonly plan: Plan
  /** Ids of the stages that finished, with the peers that hold what each made. */
  readonly finished: ReadonlyMap<string, readonly string[]>
  /** Peers that failed it, each with what happened there. */
  readonly failures: ReadonlyMap<string, string>
}

/**
 * Plans only what is unfinished, without the peers that failed. What a finished stage made is
 * used where a peer still holds it, and made again where none does and something needs it.
 * @param input as for the first plan, the peers as they are now.
 * @throws MeshError as planJob.
 */
export function replan(input: PlanInput, { plan, finished, failures }: Progress): Plan {
  const done = plan.stages.filter(({ id }) => finished.has(id))
  const doneNodes = new Set(done.flatMap(({ nodes }) => nodes.map(({ id }) => id)))
  const held = done.flatMap(({ id, outputs }) =>
    outputs.map(({ nodeId, slot }): HeldValue => ({ nodeId, slot, peerIds: finished.get(id)! })),
  )
  const failed = [...failures].map(
    ([peerId, what]) => [peerId, `failed this job: ${what}`] as const,
  )
  return planJob({
    ...input,
    outputs: input.outputs.filter((id) => !doneNodes.has(id)),
    held: [...(input.held ?? []), ...held],
    excluded: new Map([...(input.excluded ?? []), ...failed]),
  })
}

/** The peers as they are once they have a plan to carry out: for planning the job after it. */
export function offersWith(offers: readonly PeerOffer[], { placements }: Plan): PeerOffer[] {
  return offers.map((offer) => {
    const own = placements.filter(({ peerId }) => peerId === offer.advertisement.peerId)
    if (own.length === 0) return offer
    const finishMs = Math.max(...own.map(({ estimate }) => estimate.finishMs))
    return { ...offer, waitMs: finishMs }
  })
}
