/** Tickets for direct channels: a key for one connection of one peer, good for a few seconds. */
import { randomBytes } from 'node:crypto'
import { MeshError } from '@comfymesh/protocol/errors'

export interface Ticket {
  readonly id: string
  readonly key: Buffer
}

export interface Tickets {
  /** @throws MeshError `busy` for a peer that leaves too many unused. */
  issue(peerId: string): Ticket
  /** Uses a ticket up. @returns undefined for one that is unknown, used or too old. */
  use(id: string): { readonly peerId: string; readonly key: Buffer } | undefined
  /** Forgets what these peers have not used. */
  drop(isDropped: (peerId: string) => boolean): void
}

export const TICKET_LIFE_MS = 10_000
/** A peer that fetches hands them in at once. */
const MAX_UNUSED = 32

export function createTickets(modules: { readonly now: () => number }): Tickets {
  const { now } = modules
  const tickets = new Map<string, { peerId: string; key: Buffer; expiresAtMs: number }>()

  function dropExpired(): void {
    for (const [id, { expiresAtMs }] of tickets) if (expiresAtMs <= now()) tickets.delete(id)
  }

  return {
    issue(peerId) {
      dropExpired()
      const unused = [...tickets.values()].filter((ticket) => ticket.peerId === peerId)
      if (unused.length >= MAX_UNUSED) {
        const message = `Peer ${peerId} has ${MAX_UNUSED} unused tickets; use those first.`
        throw new MeshError('busy', message, { details: { retryAfterMs: TICKET_LIFE_MS } })
      }
      const id = randomBytes(16).toString('hex')
      const key = randomBytes(32)
      tickets.set(id, { peerId, key, expiresAtMs: now() + TICKET_LIFE_MS })
      return { id, key }
    },
    drop(isDropped) {
      for (const [id, { peerId }] of tickets) if (isDropped(peerId)) tickets.delete(id)
    },
    use(id) {
      dropExpired()
      const ticket = tickets.get(id)
      tickets.delete(id)
      return ticket
    },
  }
}
