/** What an agent tells about its mesh under /v1/mesh, and how peers speak of each other. */
import { z } from 'zod'
import { advertisementSchema } from './advertisement.ts'

/** How a peer is called and reached. */
export const acquaintanceSchema = z.object({
  peerId: z.string().min(1).max(128),
  name: z.string().min(1).max(64),
  /** Addresses without ports, the likeliest first. */
  hosts: z.array(z.string().max(255)).max(32),
  port: z.number().int().min(1).max(65_535),
  /** Where it lets in those who cannot speak to the mesh yet. */
  doorPort: z.number().int().min(1).max(65_535),
})

export type Acquaintance = z.infer<typeof acquaintanceSchema>

const problemSchema = z.object({ code: z.string(), message: z.string() })

const meshPeerSchema = z.object({
  peerId: z.string(),
  /** Unique in the mesh: several of one name carry the end of their ids. */
  name: z.string(),
  /** `away`: a member that is not connected. */
  state: z.enum(['self', 'connected', 'away']),
  /** Where it was reached last, e.g. `192.168.1.7`. */
  host: z.string().optional(),
  /** When it was last heard of; absent for this machine and for those never met. */
  lastSeenAtMs: z.number().optional(),
  /** The link to it, as far as it was measured. */
  link: z
    .object({ roundTripMs: z.number().optional(), bytesPerSecond: z.number().optional() })
    .optional(),
  /** When a stage last succeeded there since it was connected: proof that it can work. */
  workedAtMs: z.number().optional(),
  advertisement: advertisementSchema.optional(),
})

export const meshPeersSchema = z.object({
  meshId: z.string(),
  /** Why this machine is not in its mesh though it should be. */
  problem: problemSchema.optional(),
  /** This machine first, then by name. */
  peers: z.array(meshPeerSchema),
})

export type MeshPeer = z.infer<typeof meshPeerSchema>
export type MeshPeers = z.infer<typeof meshPeersSchema>

export const inviteRequestSchema = z.object({
  /** How many machines may come by it. */
  uses: z.number().int().min(1).max(1000).default(1),
  expiresInMs: z
    .number()
    .int()
    .min(1000)
    .max(30 * 24 * 60 * 60 * 1000)
    .default(60 * 60 * 1000),
})

export type InviteRequest = z.infer<typeof inviteRequestSchema>

export const issuedInviteSchema = z.object({
  line: z.string(),
  uses: z.number(),
  expiresAtMs: z.number(),
})

export type IssuedInvite = z.infer<typeof issuedInviteSchema>

export const joinRequestSchema = z.object({
  /** The line of an invite. */
  invite: z.string().max(4096),
  /** Leaves the mesh that this machine shares with others. */
  leave: z.boolean().default(false),
})

export const joinedSchema = z.object({
  meshId: z.string(),
  /** How the one who invited is called. */
  invitedBy: z.string(),
  /** Members, this machine among them. */
  members: z.number(),
})

export type Joined = z.infer<typeof joinedSchema>

export const rotatedSchema = z.object({
  epoch: z.number(),
  /** Names of the members that have the new secret. */
  followed: z.array(z.string()),
  /** Names of those that will get it from a member when they are back. */
  later: z.array(z.string()),
})

export type Rotated = z.infer<typeof rotatedSchema>
