/** Whom this agent knows, how they are reached, and telling each other about the rest. */
import { networkInterfaces } from 'node:os'
import type { Acquaintance } from '@comfymesh/protocol/mesh'
import type { PeerBook } from '../store/peer-book.ts'
import { reachableAddresses } from './interfaces.ts'
import type { Links } from './links.ts'
import type { MembershipStore } from './membership-store.ts'
import type { MeshNode } from './node.ts'
import { protocols } from './protocols.ts'
import type { Rpc } from './rpc.ts'

export interface AcquaintancesOptions {
  readonly peerId: string
  readonly name: string
  readonly port: number
  readonly doorPort: () => number
}

export interface AcquaintancesModules {
  readonly membership: MembershipStore
  readonly book: PeerBook
  readonly links: Pick<Links, 'want'>
  readonly rpc: Rpc
  readonly node: Pick<MeshNode, 'connections'>
  /** Of the calendar, for what is written down. */
  readonly now: () => number
  readonly warn: (message: string, error?: unknown) => void
}

export interface Acquaintances {
  start(): Promise<void>
  /** This machine, then the members that it knows. */
  all(): Acquaintance[]
  /** Remembers a member and wants a connection with it. */
  know(one: Acquaintance): void
  /** Asks a newcomer how it is reached, and whom it knows besides. */
  meet(peerId: string): Promise<void>
  /** Remembers when a peer was there last. */
  seen(peerId: string): void
}

const MAX_HOSTS = 32

export function createAcquaintances(
  options: AcquaintancesOptions,
  modules: AcquaintancesModules,
): Acquaintances {
  const { membership, book, rpc, node } = modules
  const selfId = options.peerId
  const isMember = (peerId: string) => membership.current().members.includes(peerId)

  function all(): Acquaintance[] {
    const { name, port } = options
    const hosts = reachableAddresses(networkInterfaces()).map(({ address }) => address)
    const self = { peerId: selfId, name, hosts, port, doorPort: options.doorPort() }
    return [self, ...book.all().filter(({ peerId }) => isMember(peerId))]
  }

  function know(one: Acquaintance): void {
    if (one.peerId === selfId) return
    book.put({ ...one, lastSeenAtMs: book.entry(one.peerId)?.lastSeenAtMs ?? 0 })
    modules.links.want(one)
  }

  function seen(peerId: string): void {
    const entry = book.entry(peerId)
    if (entry !== undefined) book.put({ ...entry, lastSeenAtMs: modules.now() })
  }

  /** Where it is connected certainly leads there; the rest is what it says of itself. */
  function withConnectedHost(one: Acquaintance): Acquaintance {
    const host = node.connections(one.peerId)[0]?.remoteAddr.toString().split('/')[2]
    const hosts = new Set([...(host === undefined ? [] : [host]), ...one.hosts])
    return { ...one, hosts: [...hosts].slice(0, MAX_HOSTS) }
  }

  return {
    start: () => rpc.handle(protocols.acquaintances, all),
    all,
    know,
    seen,
    async meet(peerId) {
      try {
        for (const one of await rpc.call(peerId, protocols.acquaintances, {})) {
          if (one.peerId === peerId) know(withConnectedHost(one))
          else if (isMember(one.peerId) && book.entry(one.peerId) === undefined) know(one)
        }
        seen(peerId)
      } catch (error) {
        modules.warn('A peer did not say how it is reached', error)
      }
    },
  }
}
