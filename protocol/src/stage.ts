/**
 * A stage on its way to a peer, and what comes back while it runs there. The same work has the
 * same id on every peer, so asking again joins what runs already or repeats what it made.
 */
import { z } from 'zod'
import type { JsonObject } from './json.ts'
import { MAX_WARNING_LENGTH, MAX_WARNINGS } from './node-warnings.ts'
import { plannedStageSchema } from './plan.ts'
import { blobSchema, valueReferenceSchema } from './value.ts'

export const stageRequestSchema = z.object({
  stage: plannedStageSchema.omit({ after: true }),
  jobId: z.string(),
  /** Which attempt at the stage; cancelling names it, so that a late word cannot end a newer one. */
  attemptId: z.string(),
  /** What it is linked to outside; the peer fetches them straight from their holders. */
  inputs: z.array(valueReferenceSchema),
  /** Loading and computing as the plan estimates them: what others will wait behind it. */
  expectedMs: z.number().nonnegative(),
  previews: z.boolean(),
})

/** An encoded picture on the wire: small ones as base64, others as a blob that the peer holds. */
const wirePictureSchema = z.object({
  data: z.union([z.object({ base64: z.string() }), z.object({ blob: blobSchema })]),
  mediaType: z.enum(['image/png', 'image/jpeg']),
  width: z.number().int().positive(),
  height: z.number().int().positive(),
})

/** ComfyUI's largest batch has so many. */
const MAX_PICTURES = 4096

const wireSavedPictureSchema = wirePictureSchema.extend({
  folder: z.enum(['output', 'temp', 'client']),
  filenamePrefix: z.string(),
  batchIndex: z.number().int().nonnegative(),
})

/** What a stage made, and where its time went. All times in milliseconds. */
const stageOutcomeSchema = z.object({
  values: z.array(valueReferenceSchema),
  /** What computed: 'cpu', 'cuda', ...; absent when no model ran. */
  provider: z.string().optional(),
  /** Bare time inside the model sessions. */
  sessionMs: z.number().nonnegative(),
  /** From its admission until it began, behind other stages of the peer. */
  waitMs: z.number().nonnegative(),
  /** Fetching its inputs; what it waited for the network only. */
  transferMs: z.number().nonnegative(),
  /** Bytes of inputs that came from other peers; 0 when all were here. */
  transferBytes: z.number().nonnegative(),
  /** Running its nodes, loading of models included. */
  computeMs: z.number().nonnegative(),
})

const json = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null)

export const stageMessageSchema = z.discriminatedUnion('type', [
  /** Taken into the queue of the peer. */
  z.object({ type: z.literal('admitted') }),
  /** All inputs are here and the executor begins. */
  z.object({ type: z.literal('began') }),
  z.object({ type: z.literal('node-started'), nodeId: z.string() }),
  z.object({
    type: z.literal('node-progress'),
    nodeId: z.string(),
    value: z.number(),
    max: z.number(),
    preview: wirePictureSchema.optional(),
  }),
  z.object({
    type: z.literal('node-finished'),
    nodeId: z.string(),
    cached: z.boolean(),
    elapsedMs: z.number().nonnegative(),
    pictures: z.array(wireSavedPictureSchema).max(MAX_PICTURES).optional(),
    ui: json.optional(),
    warnings: z.array(z.string().max(MAX_WARNING_LENGTH)).max(MAX_WARNINGS).readonly().optional(),
  }),
  /** Nothing new, but the peer lives: a step may take minutes. */
  z.object({ type: z.literal('alive') }),
  /** The last one; nothing follows. */
  z.object({ type: z.literal('finished'), outcome: stageOutcomeSchema }),
  /** The last one too: what the peer says went wrong, as opposed to a stream that broke. */
  z.object({
    type: z.literal('failed'),
    error: z.object({
      /** Of errors.ts, or of a newer release. */
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).default({}),
    }),
  }),
])

/** Names one attempt at a stage, to end it. */
export const stageAttemptSchema = z.object({ stageId: z.string(), attemptId: z.string() })

export type StageRequest = z.infer<typeof stageRequestSchema>
export type StageOutcome = z.infer<typeof stageOutcomeSchema>
export type StageMessage = z.infer<typeof stageMessageSchema>
export type WirePicture = z.infer<typeof wirePictureSchema>
export type WireSavedPicture = z.infer<typeof wireSavedPictureSchema>
export type StageAttempt = z.infer<typeof stageAttemptSchema>
