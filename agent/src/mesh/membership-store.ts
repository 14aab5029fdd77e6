/** The membership of this agent: on disk before it counts, and told to whoever listens. */
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { foundMesh, type Membership, membershipSchema } from './membership.ts'
import { readSecret, writeSecret } from './secret-file.ts'

export interface MembershipStore {
  current(): Membership
  /** Writes a state down and tells the listeners; does nothing where it is the one that counts. @throws MeshError `storage_failed` */
  set(next: Membership): void
  /** @returns ends the listening. */
  onChange(listener: (next: Membership, before: Membership) => void): () => void
}

const membershipFile = (dataDir: string) => join(dataDir, 'mesh', 'membership.json')

/**
 * What lies in a data folder; undefined before its agent was started first.
 * @throws MeshError `storage_failed`, `malformed_file`
 */
export function storedMembership(dataDir: string): Membership | undefined {
  const path = membershipFile(dataDir)
  const text = readSecret(path)
  return text === undefined ? undefined : parse(path, text)
}

/**
 * The membership in a data folder; a mesh of its own is founded where there is none.
 * @throws MeshError `storage_failed`, `malformed_file`
 */
export function openMembership(dataDir: string, peerId: string): MembershipStore {
  const path = membershipFile(dataDir)
  const listeners = new Set<(next: Membership, before: Membership) => void>()
  const stored = storedMembership(dataDir)
  let current = stored ?? foundMesh(peerId)
  if (stored === undefined) save(current)

  function save(membership: Membership): void {
    writeSecret(path, `${JSON.stringify(membership, undefined, 2)}\n`)
  }

  return {
    current: () => current,
    set(next) {
      if (next === current) return
      save(next)
      const before = current
      current = next
      for (const listener of listeners) listener(next, before)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function parse(path: string, text: string): Membership {
  try {
    return membershipSchema.parse(JSON.parse(text))
  } catch (cause) {
    const message = `${path} cannot be understood. Restore it from a backup, or remove it: this machine then has a mesh of its own and can be invited again.`
    throw new MeshError('malformed_file', message, { cause })
  }
}
