/**
 * Two processes with one identity: a data folder was copied. Anybody on the network can announce
 * any identity, so the other one is asked at its door, by a key that only members have.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import type { Sighting } from './discovery.ts'
import type { DoorRow } from './door.ts'
import type { Identity } from './identity.ts'
import { knockAt } from './knock.ts'
import { fingerprintOf, keyFrom } from './membership.ts'
import type { MembershipStore } from './membership-store.ts'

const whoSchema = z.object({ peerId: z.string(), run: z.string(), uptimeMs: z.number() })

/** A process of the mesh, as it tells of itself. */
export type Who = z.infer<typeof whoSchema>

export interface TwinWatch {
  /** The row of the door that tells a member who lives here. */
  readonly row: DoorRow
  /** Looks whether there is an older process with this identity where one was sighted. */
  sighted(sighting: Sighting): void
}

export function createTwinWatch(modules: {
  readonly identity: Identity
  readonly name: string
  readonly membership: MembershipStore
  readonly self: () => Who
  /** There is one, so this process has to go. */
  readonly onOlderTwin: (error: MeshError) => void
}): TwinWatch {
  const { identity, name, membership, self } = modules
  let isAsking = false

  async function ask({ hosts, doorPort }: Sighting): Promise<void> {
    const { secret } = membership.current()
    const knock = { identity: `who/${fingerprintOf(secret)}`, key: whoKey(secret), name }
    const door = hosts.map((host) => ({ host, port: doorPort }))
    const { answer, at } = await knockAt(door, knock, identity, whoSchema)
    if (isOlderTwin(answer, self())) modules.onOlderTwin(duplicateIdentity(at.host))
  }

  return {
    row: {
      key(fingerprint) {
        const { secret } = membership.current()
        return fingerprint === fingerprintOf(secret) ? whoKey(secret) : undefined
      },
      welcome: self,
    },
    sighted(sighting) {
      if (isAsking || sighting.run === self().run) return
      isAsking = true
      ask(sighting)
        // Nobody opened: whoever announced it is no member.
        .catch(() => {})
        .finally(() => {
          isAsking = false
        })
    },
  }
}

const whoKey = (secret: string): Buffer => keyFrom(secret, 'who')

/** By how long each has run, so that no clock needs to be right. */
export function isOlderTwin(theirs: Who, mine: Who): boolean {
  if (theirs.peerId !== mine.peerId || theirs.run === mine.run) return false
  if (theirs.uptimeMs !== mine.uptimeMs) return theirs.uptimeMs > mine.uptimeMs
  return theirs.run < mine.run
}

function duplicateIdentity(host: string): MeshError {
  const message =
    `The agent at ${host} has the same identity as this one: one data folder is a copy of the other. ` +
    'This machine stays out of the mesh. Stop it, give it an identity of its own with `comfymesh mesh new-identity`, then start it again.'
  return new MeshError('duplicate_identity', message, { details: { host } })
}
