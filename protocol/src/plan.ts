/**
 * What runs where, and why: the stages of a job, how they depend on each other,
 * and where each was placed. Made by the planner, kept with the job, shown to the user.
 */
import { z } from 'zod'
import type { JsonValue } from './json.ts'

/** A node as it runs: inputs coerced, only those its class declares. */
const plannedNodeSchema = z.object({
  id: z.string(),
  classType: z.string(),
  inputs: z.record(z.string(), z.custom<JsonValue>()),
  /** Hash of class, inputs and ancestors; equal signatures give equal outputs. */
  signature: z.string(),
})

/** A value that leaves its stage; `slice` is the part of its batch when the stage makes only a part. */
const stageOutputSchema = z.object({
  nodeId: z.string(),
  slot: z.number(),
  slice: z.object({ start: z.number(), end: z.number() }).optional(),
})

export const plannedStageSchema = z.object({
  /** Idempotency key: the same work has the same id on every peer. */
  id: z.string(),
  /** Which of the stages that share one set of nodes; 0 unless the work is sharded. */
  index: z.number(),
  /** In an order in which every node follows those it depends on. */
  nodes: z.array(plannedNodeSchema),
  /** Ids of the stages whose outputs it needs. */
  after: z.array(z.string()),
  /** The values that other stages need from it. */
  outputs: z.array(stageOutputSchema),
})

const placementSchema = z.object({
  stageId: z.string(),
  peerId: z.string(),
  peerName: z.string(),
  /** Why there, in words for the user. */
  reason: z.string(),
  /** Every other peer, with the reason why not. */
  rejected: z.array(z.object({ peerId: z.string(), peerName: z.string(), reason: z.string() })),
})

export const planSchema = z.object({
  stages: z.array(plannedStageSchema),
  placements: z.array(placementSchema),
})

export type PlannedNode = z.infer<typeof plannedNodeSchema>
export type PlannedStage = z.infer<typeof plannedStageSchema>
export type Placement = z.infer<typeof placementSchema>
export type Rejection = Placement['rejected'][number]
export type Plan = z.infer<typeof planSchema>
