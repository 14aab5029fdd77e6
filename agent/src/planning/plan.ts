/**
 * The planner: a prompt becomes stages, each placed on a peer with the reason why. This folder
 * is pure: it knows no clock, disk or network; what it needs to know is passed in.
 *
 *  1. Values of some types can travel between machines; all others are handles. What makes
 *     handles, a loader, is repeated in every stage that needs it (values, group).
 *  2. Nodes that no cut may separate are a unit. For each unit: which peers can run it and why
 *     the others cannot (abilities), and what it takes on each, as measured or else guessed (cost).
 *  3. If some peers can run every unit, the one that ends first is the plan to beat.
 *  4. If none can, or affinity forbids it, units are joined along the heaviest edges as long as
 *     one peer can run the whole, so that the cheapest edges are cut (clusters: cheapestCut).
 *  5. With several peers, units are also joined along what could run at the same time, and those
 *     branches go to the peers by list scheduling (clusters: branches, assign).
 *  6. Every candidate becomes stages and is played through (stages, schedule). One that is split
 *     for its speed wins only when it ends clearly earlier.
 *  7. Each stage says of every other peer why not (place).
 */
import type { Plan, PlanOptions } from '@comfymesh/protocol/plan'
import { checkAffinity, without } from './affinity.ts'
import { type Basis, basisOf, type PlanInput, type Situation, situationOf } from './basis.ts'
import { candidatesOf } from './candidates.ts'
import { placementsOf } from './place.ts'
import { edgesOf, plannedStages } from './planned-stages.ts'
import { noPeer, stuckUnits, wishRefused } from './refusal.ts'

const FREE: PlanOptions = { affinity: {}, fallback: 'auto' }

/**
 * @throws MeshError `no_peer`, its message naming what each peer lacks; `invalid_prompt` for an
 *   affinity that names neither a node nor a class.
 */
export function planJob(input: PlanInput): Plan {
  const { affinity, fallback } = input.options ?? FREE
  checkAffinity(affinity, input.graph)
  const basis = basisOf(input)
  const wished = situationOf(basis, affinity)
  const stuck = stuckUnits(wished)
  if (stuck.length === 0) return bestPlan(basis, wished)
  const refused = wishRefused(wished, stuck)
  if (refused === undefined) throw noPeer(wished, stuck[0]!)
  if (fallback === 'none') throw refused.error
  const relaxed = situationOf(basis, without(affinity, refused.keys))
  const stillStuck = stuckUnits(relaxed)
  if (stillStuck.length > 0) throw noPeer(relaxed, stillStuck[0]!)
  const plan = bestPlan(basis, relaxed)
  if (fallback === 'auto') return { ...plan, reason: `${refused.reason}; ${plan.reason}` }
  const names = [...new Set(plan.placements.map(({ peerName }) => peerName))].join(' and ')
  return {
    ...plan,
    question: `${refused.reason}. Run it on ${names} instead?`,
    unmet: [...refused.keys],
  }
}

function bestPlan({ signatures }: Basis, situation: Situation): Plan {
  const { peerOf, schedule, reason } = candidatesOf(situation)
  const stages = plannedStages(situation.units, schedule.stages, signatures)
  const edges = edgesOf(schedule.stages, stages, situation.problem)
  const placements = placementsOf({ ...situation, peerOf, schedule, stages })
  const travelling = edges.filter(({ travels }) => travels)
  const transferBytes = travelling.reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    stages,
    edges,
    placements,
    reason,
    totals: { finishMs: schedule.finishMs, transferBytes },
  }
}
