/** Coming into a mesh by an invite: what the door answers, and what the newcomer does with it. */
import { MeshError } from '@comfymesh/protocol/errors'
import { type Acquaintance, acquaintanceSchema } from '@comfymesh/protocol/mesh'
import { z } from 'zod'
import type { DoorRow } from './door.ts'
import type { Identity } from './identity.ts'
import { inviteIdOf, parseInviteLine } from './invite-line.ts'
import { type Invites, inviteDoorKey } from './invites.ts'
import { knockAt } from './knock.ts'
import { type Membership, membershipSchema, withMembers } from './membership.ts'
import type { MembershipStore } from './membership-store.ts'

const welcomeSchema = z.object({
  membership: membershipSchema,
  /** Who invites, first, and whom it knows. */
  acquaintances: z.array(acquaintanceSchema).min(1).max(1000),
})

export type Welcome = z.infer<typeof welcomeSchema>

/** The row of the door for those who come with an invite. */
export function joinRow(modules: {
  readonly invites: Invites
  readonly membership: MembershipStore
  readonly acquaintances: () => readonly Acquaintance[]
  readonly onJoined: (name: string) => void
}): DoorRow {
  const { invites, membership } = modules
  return {
    key: (id) => invites.doorKey(id),
    welcome(id, { peerId, name }): Welcome {
      // Written down before the secret is handed out: a crash may cost a use, never give one away.
      invites.redeem(id, peerId)
      const before = membership.current()
      membership.set(withMembers(before, [peerId]))
      if (!before.members.includes(peerId)) modules.onJoined(name)
      return { membership: membership.current(), acquaintances: [...modules.acquaintances()] }
    },
  }
}

export interface JoinOptions {
  /** The line of an invite. */
  readonly invite: string
  /** Leaves the mesh that this machine shares with others. */
  readonly leave: boolean
  /** How this machine is called. */
  readonly name: string
}

/**
 * Knocks with an invite. Nothing has changed here when it returns: what it returns is to be made
 * to count by whoever called.
 * @throws MeshError `invite_refused`, `peer_unreachable`, `not_a_member`
 */
export async function askToJoin(
  { invite, leave, name }: JoinOptions,
  identity: Identity,
  mine: Membership,
): Promise<Welcome> {
  const ticket = parseInviteLine(invite)
  if (ticket.meshId === mine.meshId) {
    throw new MeshError('invite_refused', 'This machine is a member of that mesh already.')
  }
  const others = mine.members.length - 1
  if (others > 0 && !leave) {
    const whom = others === 1 ? 'another machine' : `${others} other machines`
    const message = `This machine shares a mesh with ${whom}; joining another one leaves it. If that is meant, say --leave.`
    throw new MeshError('invite_refused', message)
  }
  const knock = {
    identity: `join/${inviteIdOf(ticket.secret)}`,
    key: inviteDoorKey(ticket.secret),
    name,
  }
  try {
    const { answer, at } = await knockAt(ticket.addresses, knock, identity, welcomeSchema)
    return withHost(
      { ...answer, membership: withMembers(answer.membership, [identity.peerId]) },
      at.host,
    )
  } catch (error) {
    if (!(error instanceof MeshError) || error.details.isKnown !== true) throw error
    const message =
      'The invite is not known there any more: it was withdrawn, or that machine is in another mesh now. Ask for a new one: comfymesh invite.'
    throw new MeshError('invite_refused', message, { cause: error })
  }
}

/** Whoever invited is reached best where it has just answered. */
function withHost({ membership, acquaintances }: Welcome, host: string): Welcome {
  const [inviter, ...others] = acquaintances
  const hosts = [...new Set([host, ...inviter!.hosts])].slice(0, 32)
  return { membership, acquaintances: [{ ...inviter!, hosts }, ...others] }
}
