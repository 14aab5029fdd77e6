/**
 * What members of a mesh share: its secret, and who belongs to it. Pure; the file it lies in is
 * membership-store.ts's business.
 *
 * There is no master, so two members may change the secret at the same time. The states are
 * ordered, everybody adopts the greater one whole, and who adopts forgets its own list: a removed
 * peer cannot come back by what it told a member that had not heard of the removal yet.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'

const SECRET_BYTES = 32
/** How many rotations a member may sleep through and still follow. */
const MAX_PREVIOUS = 32
/** Far above what the connections of one agent can hold. */
const MAX_MEMBERS = 1000

const secretText = z
  .string()
  .refine((text) => Buffer.from(text, 'base64url').length === SECRET_BYTES, 'is no mesh secret')

export const membershipSchema = z.object({
  /** Public and lasting: whoever sees it on the network learns nothing. */
  meshId: z.string().regex(/^[0-9a-f]{16}$/),
  /** How often the secret was changed. */
  epoch: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** 32 bytes, base64url. */
  secret: secretText,
  /** Earlier secrets, the newest first: by them members that were away are recognised. */
  previous: z.array(secretText).max(MAX_PREVIOUS),
  /** Peer ids, sorted. */
  members: z.array(z.string()).max(MAX_MEMBERS),
  /** Peer ids of those that were sent away and not invited again, sorted. */
  removed: z.array(z.string()),
})

export type Membership = z.infer<typeof membershipSchema>

/** A mesh of one. */
export function foundMesh(peerId: string): Membership {
  return {
    meshId: randomBytes(8).toString('hex'),
    epoch: 0,
    secret: newSecret(),
    previous: [],
    members: [peerId],
    removed: [],
  }
}

const newSecret = () => randomBytes(SECRET_BYTES).toString('base64url')

/** A key for one purpose; nobody gets from it to the secret or to another key. */
export function keyFrom(secret: string, purpose: string, bytes = 32): Buffer {
  const material = Buffer.from(secret, 'base64url')
  return Buffer.from(hkdfSync('sha256', material, '', `comfymesh ${purpose}`, bytes))
}

/** Says publicly which secret somebody has. */
export function fingerprintOf(secret: string): string {
  return keyFrom(secret, 'fingerprint', 8).toString('hex')
}

export type Standing = Pick<Membership, 'meshId' | 'epoch'> & { readonly fingerprint: string }

export function standingOf({ meshId, epoch, secret }: Membership): Standing {
  return { meshId, epoch, fingerprint: fingerprintOf(secret) }
}

/** Whether `mine` is of the same mesh as `theirs` but behind it. */
export function isBehind(mine: Standing, theirs: Standing): boolean {
  if (mine.meshId !== theirs.meshId || mine.fingerprint === theirs.fingerprint) return false
  if (mine.epoch !== theirs.epoch) return mine.epoch < theirs.epoch
  return mine.fingerprint < theirs.fingerprint
}

const sorted = (ids: Iterable<string>) => [...new Set(ids)].sort()

/** The mesh with these members as well; the same object where they are known already. */
export function withMembers(membership: Membership, peerIds: readonly string[]): Membership {
  const members = sorted([...membership.members, ...peerIds])
  const removed = membership.removed.filter((id) => !peerIds.includes(id))
  const isKnown =
    members.length === membership.members.length && removed.length === membership.removed.length
  return isKnown ? membership : { ...membership, members, removed }
}

/** The mesh with another secret, and without some of its members. */
export function rotated(membership: Membership, removing: readonly string[] = []): Membership {
  const { epoch, secret, previous, members, removed } = membership
  return {
    ...membership,
    epoch: epoch + 1,
    secret: newSecret(),
    previous: [secret, ...previous].slice(0, MAX_PREVIOUS),
    members: members.filter((id) => !removing.includes(id)),
    removed: sorted([...removed, ...removing]),
  }
}

/**
 * What a member makes of the state that another member of the same mesh has.
 * Of equal secrets the lists are united; of different ones the greater state wins whole, and
 * removals that it does not know of because it was made at the same time are repeated upon it.
 */
export function merged(mine: Membership, theirs: Membership): Membership {
  // Nobody is removed without a new secret, so a member here that is removed there was invited again.
  if (mine.secret === theirs.secret) return withMembers(mine, theirs.members)
  if (!isBehind(standingOf(mine), standingOf(theirs))) return mine
  const knewMine = theirs.previous.includes(mine.secret)
  const lost = knewMine ? [] : mine.removed.filter((id) => theirs.members.includes(id))
  return lost.length === 0 ? theirs : rotated(theirs, lost)
}
