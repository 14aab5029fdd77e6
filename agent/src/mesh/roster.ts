/**
 * Keeps the members of a mesh of one mind: tells changes to those who are connected, hears
 * theirs, and follows through the door of a member where the secret was changed while this
 * machine was away.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { DoorRow } from './door.ts'
import type { Identity } from './identity.ts'
import type { HostPort } from './invite-line.ts'
import { knockAt } from './knock.ts'
import {
  fingerprintOf,
  foundMesh,
  keyFrom,
  type Membership,
  membershipSchema,
  merged,
  withMembers,
} from './membership.ts'
import type { MembershipStore } from './membership-store.ts'
import type { MeshNode } from './node.ts'
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

export interface Roster {
  start(): Promise<void>
  stop(): void
  /** Asks a member for the state of the mesh; each only once in a while, however often this is called. */
  follow(door: readonly HostPort[]): void
  /** The row of the door for members that were away when the secret changed. */
  readonly followRow: DoorRow
  /** Makes a state count here and tells it. @returns the ids of the other members who have it now. */
  apply(next: Membership): Promise<string[]>
}

export interface RosterModules {
  readonly identity: Identity
  readonly name: string
  readonly membership: MembershipStore
  readonly rpc: Rpc
  readonly node: Pick<MeshNode, 'connectedPeers' | 'connections' | 'onConnection'>
  readonly info: (message: string) => void
  readonly warn: (message: string, error?: unknown) => void
  readonly now: () => number
}

/** Whoever is ahead is sighted and dialled several times a second at worst. */
const KNOCK_GAP_MS = 2000
const MAX_REMEMBERED_DOORS = 1000

export function createRoster(modules: RosterModules): Roster {
  const { identity, membership, rpc, node, warn } = modules
  const selfId = identity.peerId
  const stopped = new AbortController()
  let unlisten = () => {}
  let telling: Promise<string[]> = Promise.resolve([])
  /** When each door was knocked at last. */
  const knockedAtMs = new Map<string, number>()

  /** Takes over what another member has, if it is more than this one has. */
  function adopt(theirs: Membership): Membership {
    const mine = membership.current()
    if (theirs.meshId !== mine.meshId) return mine
    const next = merged(mine, theirs)
    if (next !== mine && next.removed.includes(selfId)) return leaveRemoved()
    membership.set(next === mine ? mine : withMembers(next, [selfId]))
    return membership.current()
  }

  function leaveRemoved(): Membership {
    warn(
      'This machine was removed from its mesh and has one of its own again. To come back it needs an invite.',
    )
    membership.set(foundMesh(selfId))
    return membership.current()
  }

  async function exchange(peerId: string, mine: Membership): Promise<boolean> {
    try {
      const { signal } = stopped
      adopt(await rpc.call(peerId, protocols.membership, mine, { signal }))
      return true
    } catch {
      // It hears of it at its next connection, or follows through the door.
      return false
    }
  }

  async function tell(state: Membership): Promise<string[]> {
    const members = node.connectedPeers().filter((id) => state.members.includes(id))
    const heard = await Promise.all(members.map((id) => exchange(id, state)))
    return members.filter((_, index) => heard[index])
  }

  /** Those who do not belong to it any more are shut out, the others told. */
  function changed(next: Membership, before: Membership): void {
    const isSameMesh = next.meshId === before.meshId
    for (const peerId of node.connectedPeers()) {
      if (isSameMesh && next.members.includes(peerId)) continue
      for (const connection of node.connections(peerId)) {
        connection.abort(new Error('not a member of this mesh'))
      }
    }
    telling = isSameMesh ? tell(next) : Promise.resolve([])
  }

  function welcomed(peerId: string): void {
    const mine = membership.current()
    // It has the secret, or there would be no connection.
    membership.set(withMembers(mine, [peerId]))
    if (selfId < peerId) void exchange(peerId, membership.current())
  }

  async function knock(door: readonly HostPort[]): Promise<void> {
    const { secret } = membership.current()
    const identityAtDoor = `follow/${fingerprintOf(secret)}`
    const key = followKey(secret)
    const request = { identity: identityAtDoor, key, name: modules.name }
    const { answer } = await knockAt(door, request, identity, membershipSchema)
    const before = membership.current()
    if (adopt(answer) !== before) modules.info('The secret of the mesh was changed; followed.')
  }

  return {
    async apply(next) {
      membership.set(next)
      return telling
    },
    async start() {
      await rpc.handle(protocols.membership, (theirs) => adopt(theirs))
      node.onConnection(({ remotePeer }) => welcomed(remotePeer.toString()))
      unlisten = membership.onChange(changed)
    },
    stop() {
      stopped.abort()
      unlisten()
    },
    follow(door) {
      const at = door.map(({ host, port }) => `${host}:${port}`).join()
      if (modules.now() - (knockedAtMs.get(at) ?? Number.NEGATIVE_INFINITY) < KNOCK_GAP_MS) return
      // Anybody can announce any number of addresses.
      if (knockedAtMs.size > MAX_REMEMBERED_DOORS) knockedAtMs.clear()
      knockedAtMs.set(at, modules.now())
      knock(door).catch((error: unknown) => {
        const isRefused = error instanceof MeshError && error.code === 'not_a_member'
        if (isRefused && error.details.removed === true) leaveRemoved()
        else if (isRefused) warn('This machine cannot follow its mesh', error)
      })
    },
    followRow: {
      key(fingerprint) {
        const { secret, previous } = membership.current()
        const known = [secret, ...previous].find((one) => fingerprintOf(one) === fingerprint)
        return known === undefined ? undefined : followKey(known)
      },
      welcome(_, { peerId, name }) {
        const state = membership.current()
        if (state.members.includes(peerId)) return state
        const removed = state.removed.includes(peerId)
        const message = removed
          ? `${name} was removed from this mesh.`
          : `Nobody here knows ${name}. Ask for an invite: comfymesh invite.`
        throw new MeshError('not_a_member', message, { details: { removed } })
      },
    },
  }
}

const followKey = (secret: string): Buffer => keyFrom(secret, 'follow')
