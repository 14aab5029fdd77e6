/**
 * What runs where, and why: the stages of a job, how they depend on each other,
 * and where each was placed. Made by the planner, kept with the job, shown to the user.
 */
import { z } from 'zod'
import { MeshError } from './errors.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { outputSchema } from './value.ts'

/** A node as it runs: inputs coerced, only those its class declares. */
const plannedNodeSchema = z.object({
  id: z.string(),
  classType: z.string(),
  inputs: z.record(z.string(), z.custom<JsonValue>()),
  /** Hash of class, inputs and ancestors; equal signatures give equal outputs. */
  signature: z.string(),
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
  outputs: z.array(outputSchema),
})

/** A value that one stage needs from another. Handles are never among them. */
const planEdgeSchema = z.object({
  /** The stage that makes it; absent when it is made already. */
  from: z.string().optional(),
  to: z.string(),
  nodeId: z.string(),
  slot: z.number(),
  /** LATENT, IMAGE, ... */
  type: z.string(),
  /** Estimated from the prompt. */
  bytes: z.number(),
  /** Whether it goes over the network, its stages being on different peers. */
  travels: z.boolean(),
})

const stageEstimateSchema = z.object({
  /** Behind other work of the peer, once the inputs are made. */
  waitMs: z.number(),
  loadMs: z.number(),
  /** Bringing its inputs to the peer, and its pictures to the submitting peer. */
  transferMs: z.number(),
  computeMs: z.number(),
  /** From the moment of planning. */
  startMs: z.number(),
  finishMs: z.number(),
  /** What a device must hold at once; 0 where nobody knows the models' sizes. */
  memoryBytes: z.number(),
})

const placementSchema = z.object({
  stageId: z.string(),
  peerId: z.string(),
  peerName: z.string(),
  /** Why there, in words for the user. */
  reason: z.string(),
  estimate: stageEstimateSchema,
  /** Every other peer, with the reason why not. */
  rejected: z.array(z.object({ peerId: z.string(), peerName: z.string(), reason: z.string() })),
})

export const planSchema = z.object({
  /** Each after those it needs. */
  stages: z.array(plannedStageSchema),
  edges: z.array(planEdgeSchema),
  /** One a stage, in their order. */
  placements: z.array(placementSchema),
  /** Why the prompt was split, or why not. */
  reason: z.string(),
  totals: z.object({
    /** When the last stage ends, from the moment of planning. */
    finishMs: z.number(),
    /** Values between peers; pictures for the user are not counted. */
    transferBytes: z.number(),
  }),
  /**
   * The job waits until the user agrees: a peer that was asked for cannot, and this plan
   * is the proposed alternative. The text says so.
   */
  question: z.string().optional(),
  /** With a question: the keys of the affinity that the plan does not follow. */
  unmet: z.array(z.string()).optional(),
})

/** What a prompt may ask of the planner, in `extra_data.comfymesh`. */
export const planOptionsSchema = z.strictObject({
  /** Node id or class to the name or id of the peer that is to run it. */
  affinity: z.record(z.string(), z.string().min(1)).default({}),
  /** When that peer cannot: fail, ask the user, or take the best other. */
  fallback: z.enum(['none', 'ask', 'auto']).default('auto'),
})

export type PlannedStage = z.infer<typeof plannedStageSchema>
export type PlanEdge = z.infer<typeof planEdgeSchema>
export type StageEstimate = z.infer<typeof stageEstimateSchema>
export type Placement = z.infer<typeof placementSchema>
export type Rejection = Placement['rejected'][number]
export type Plan = z.infer<typeof planSchema>
export type PlanOptions = z.infer<typeof planOptionsSchema>

/**
 * The planner's options out of a prompt's extra_data.
 * @throws MeshError `invalid_prompt` naming what is wrong.
 */
export function planOptionsOf(extraData: JsonObject): PlanOptions {
  const parsed = planOptionsSchema.safeParse(extraData.comfymesh ?? {})
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  const where = ['extra_data', 'comfymesh', ...path].join('.')
  const shape =
    '{ affinity: { "<node id or class>": "<peer>" }, fallback: "none", "ask" or "auto" }'
  throw new MeshError('invalid_prompt', `${where}: ${message}. It has the shape ${shape}.`)
}
