/** The invites that this agent has given out, each counted on disk before it opens the door. */
import { hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { z } from 'zod'
import { inviteIdOf } from './invite-line.ts'
import { readSecret, writeSecret } from './secret-file.ts'

const inviteSchema = z.object({
  id: z.string(),
  /** 16 bytes, base64url. */
  secret: z.string(),
  expiresAtMs: z.number(),
  uses: z.number(),
  /** Ids of the peers that came by it. */
  usedBy: z.array(z.string()),
})

export type Invite = z.infer<typeof inviteSchema>

export interface Invites {
  /** @throws MeshError `storage_failed` */
  issue(options: { readonly uses: number; readonly expiresAtMs: number }): Invite
  /** The key of the door for whoever has this invite, whether it still counts or not. */
  doorKey(id: string): Buffer | undefined
  /**
   * Takes one use for a peer; the same peer may come again with the same invite, as after an
   * answer that it never got.
   * @throws MeshError `invite_refused` saying why; `storage_failed`
   */
  redeem(id: string, peerId: string): void
  /** Makes all invites worthless. */
  withdrawAll(): void
}

/** So long an invite is remembered after its end, to say what became of it. */
const REMEMBERED_MS = 7 * 24 * 60 * 60 * 1000

export function openInvites(dataDir: string, now: () => number): Invites {
  const path = join(dataDir, 'mesh', 'invites.json')
  let invites = readInvites(path)

  function save(next: readonly Invite[]): void {
    const kept = next.filter(({ expiresAtMs }) => expiresAtMs + REMEMBERED_MS > now())
    writeSecret(path, `${JSON.stringify(kept, undefined, 2)}\n`)
    invites = kept
  }

  return {
    issue({ uses, expiresAtMs }) {
      const secret = randomBytes(16)
      const invite: Invite = {
        id: inviteIdOf(secret),
        secret: secret.toString('base64url'),
        expiresAtMs,
        uses,
        usedBy: [],
      }
      save([...invites, invite])
      return invite
    },
    doorKey(id) {
      const invite = invites.find((one) => one.id === id)
      return invite && inviteDoorKey(Buffer.from(invite.secret, 'base64url'))
    },
    redeem(id, peerId) {
      const invite = invites.find((one) => one.id === id)
      if (invite === undefined) throw refused('It is not known here any more.')
      if (invite.expiresAtMs <= now()) throw refused('It has expired.')
      if (invite.usedBy.includes(peerId)) return
      if (invite.usedBy.length >= invite.uses) {
        throw refused(invite.uses === 1 ? 'It was used already.' : 'All its uses are taken.')
      }
      const used = { ...invite, usedBy: [...invite.usedBy, peerId] }
      save(invites.map((one) => (one === invite ? used : one)))
    },
    withdrawAll: () => save([]),
  }
}

/** The key that opens the door to whoever has the invite. */
export function inviteDoorKey(secret: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'comfymesh invite door', 32))
}

const refused = (why: string) =>
  new MeshError(
    'invite_refused',
    `The invite does not count. ${why} Ask for a new one: comfymesh invite.`,
  )

/** A file that cannot be understood is as good as none: invites are quickly made again. */
function readInvites(path: string): readonly Invite[] {
  const text = readSecret(path)
  if (text === undefined) return []
  try {
    return z.array(inviteSchema).parse(JSON.parse(text))
  } catch {
    return []
  }
}
