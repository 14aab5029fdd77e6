/**
 * What members of a mesh ask each other: one row a protocol, `/comfymesh/<name>/<n>`.
 *
 * An additive change keeps n: unknown fields are ignored. A breaking change makes a new row, and the
 * old one stays as its `former` for a release, so that two adjacent releases understand each other.
 * Whoever executes stages or moves tensors adds rows here and handlers in its own folder.
 */
import { advertisementSchema } from '@comfymesh/protocol/advertisement'
import type { JsonValue } from '@comfymesh/protocol/json'
import { logLineSchema, logRequestSchema } from '@comfymesh/protocol/log-lines'
import { acquaintanceSchema } from '@comfymesh/protocol/mesh'
import {
  stageAttemptSchema,
  stageMessageSchema,
  stageRequestSchema,
} from '@comfymesh/protocol/stage'
import { z } from 'zod'
import { membershipSchema } from './membership.ts'

export interface Protocol<Request, Reply> {
  readonly id: `/comfymesh/${string}/${number}`
  /** `one` answer, or `many` until an end that is said. */
  readonly replies: 'one' | 'many'
  readonly request: z.ZodType<Request>
  readonly reply: z.ZodType<Reply>
  readonly maxRequestBytes: number
  readonly maxReplyBytes: number
  /** How many a peer may have open at once. */
  readonly maxStreams: number
  /** How many a peer may ask in a minute; more are told to come back later. */
  readonly perMinute: number
  /** Until the first answer. */
  readonly timeoutMs: number
  /** As the release before speaks it. */
  readonly former?: FormerProtocol<Request, Reply>
}

/**
 * The row before another one. Its schemas read what is said there and give it as it is said today;
 * `say` is the other direction.
 */
export interface FormerProtocol<Request, Reply> extends Protocol<Request, Reply> {
  readonly say: {
    readonly request: (request: Request) => unknown
    /** Undefined for one among many that the release before would not understand: it is left out. */
    readonly reply: (reply: Reply) => unknown
  }
}

function row<Request, Reply>(protocol: Protocol<Request, Reply>): Protocol<Request, Reply> {
  return protocol
}

const KIB = 1024
const MIB = 1024 * KIB

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/)

export const protocols = {
  /**
   * Subscribes to what a peer offers: at once as it is, then at every change; in between comes an
   * empty message as a sign of life, unless the follower has others. One stream lives as long as its
   * connection; a few more overlap when connections are replaced.
   */
  advertisement: row({
    id: '/comfymesh/advertisement/1',
    replies: 'many',
    /** The release before says nothing of pulses and counts on them. */
    request: z.object({ pulses: z.boolean().default(true) }),
    reply: z.object({ advertisement: advertisementSchema.optional() }),
    maxRequestBytes: KIB,
    // A thousand resident models and measured speeds.
    maxReplyBytes: MIB,
    maxStreams: 4,
    perMinute: 60,
    timeoutMs: 5000,
  }),
  /**
   * Documents by the SHA-256 of their JSON, in the order asked; what is not there is left out.
   * A hundred at a time, and the definitions of a ComfyUI with every pack are some 3,000 classes.
   */
  documents: row({
    id: '/comfymesh/documents/1',
    replies: 'many',
    request: z.object({ digests: z.array(digestSchema).max(100) }),
    reply: z.object({ digest: digestSchema, document: z.custom<JsonValue>() }),
    maxRequestBytes: 16 * KIB,
    // A catalog of 50,000 models; the index of all node classes.
    maxReplyBytes: 16 * MIB,
    maxStreams: 4,
    perMinute: 600,
    timeoutMs: 20_000,
  }),
  /** Nothing, and nothing back: the release before asks for it to measure the round trip. */
  ping: row({
    id: '/comfymesh/ping/1',
    replies: 'one',
    request: z.object({}),
    reply: z.object({}),
    maxRequestBytes: KIB,
    maxReplyBytes: KIB,
    maxStreams: 4,
    perMinute: 60,
    timeoutMs: 5000,
  }),
  /** Tells a member the state of the mesh and hears its own: once a connection, and at changes. */
  membership: row({
    id: '/comfymesh/membership/1',
    replies: 'one',
    request: membershipSchema,
    reply: membershipSchema,
    maxRequestBytes: MIB,
    maxReplyBytes: MIB,
    maxStreams: 4,
    // A mesh of a hundred that starts at once tells of each newcomer.
    perMinute: 600,
    timeoutMs: 5000,
  }),
  /** Whom a member knows, for those whom multicast does not reach. */
  acquaintances: row({
    id: '/comfymesh/acquaintances/1',
    replies: 'one',
    request: z.object({}),
    reply: z.array(acquaintanceSchema).max(1000),
    maxRequestBytes: KIB,
    maxReplyBytes: MIB,
    maxStreams: 2,
    perMinute: 60,
    timeoutMs: 5000,
  }),
  /** The last lines of a peer's log, or those that followed one: what its own page would show. */
  logs: row({
    id: '/comfymesh/logs/1',
    replies: 'one',
    request: logRequestSchema,
    reply: z.array(logLineSchema),
    maxRequestBytes: KIB,
    // As many lines as may be asked for, each as long as it may be, in UTF-8.
    maxReplyBytes: 16 * MIB,
    maxStreams: 4,
    // Several pages that look on, each every two seconds.
    perMinute: 300,
    timeoutMs: 10_000,
  }),
  /**
   * A key for one TLS connection to the peer's listener for large bytes; see bulk.ts. Where n is 1,
   * blobs are named by SHA-256: what one of both names cannot be asked of the other. Where it is 2,
   * chunks are asked for in JSON.
   */
  bulkTicket: row({
    id: '/comfymesh/bulk-ticket/3',
    replies: 'one',
    request: z.object({}),
    reply: z.object({
      port: z.number().int().min(1).max(65_535),
      id: z.string().regex(/^[0-9a-f]{32}$/),
      /** 32 bytes, base64url. */
      key: z.string().length(43),
      expiresInMs: z.number(),
    }),
    maxRequestBytes: KIB,
    maxReplyBytes: KIB,
    maxStreams: 16,
    // One for each blob of more than a megabyte.
    perMinute: 6000,
    timeoutMs: 5000,
  }),
  /** Runs a stage, or joins the run of the same one, and tells what happens until its end. */
  stage: row({
    id: '/comfymesh/stage/1',
    replies: 'many',
    request: stageRequestSchema,
    reply: stageMessageSchema,
    // A prompt may hold a picture or a long text as a constant.
    maxRequestBytes: 16 * MIB,
    // The pictures that go inline take up to 1 MiB; what a node shows besides is text.
    maxReplyBytes: 8 * MIB,
    // One that computes, those that wait, and those that are told to come back.
    maxStreams: 32,
    // Whoever was told that this machine is busy asks again.
    perMinute: 6000,
    timeoutMs: 5000,
  }),
  /** Ends an attempt at a stage; one that is not here ends nothing. */
  stageCancel: row({
    id: '/comfymesh/stage-cancel/1',
    replies: 'one',
    request: stageAttemptSchema,
    reply: z.object({}),
    maxRequestBytes: KIB,
    maxReplyBytes: KIB,
    maxStreams: 16,
    perMinute: 6000,
    timeoutMs: 5000,
  }),
} as const

/** Large bytes where no TLS connection gets through, and small ones, which need none: see bulk.ts. */
export const bulkStream = { id: '/comfymesh/bulk/3', maxStreams: 16 } as const
