/**
 * The mesh: finds the other agents, keeps strangers out, and lets members ask each other. Only
 * this folder knows libp2p; what is asked beyond membership and presence is for the floors above,
 * which add rows to protocols.ts and answer them with `handle`.
 */
import { randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import { displayNames, peersCalled } from '@comfymesh/protocol/ids'
import type {
  Acquaintance,
  InviteRequest,
  IssuedInvite,
  Joined,
  MeshPeer,
  MeshPeers,
  Rotated,
} from '@comfymesh/protocol/mesh'
import type { PeerBook } from '../store/peer-book.ts'
import type { Bulk } from './bulk.ts'
import type { Documents } from './documents.ts'
import type { Identity } from './identity.ts'
import { reachableAddresses } from './interfaces.ts'
import { type HostPort, inviteLine } from './invite-line.ts'
import type { Invites } from './invites.ts'
import { askToJoin } from './joining.ts'
import { rotated } from './membership.ts'
import type { MembershipStore } from './membership-store.ts'
import type { PresentPeer } from './presence.ts'
import type { Rpc } from './rpc.ts'
import type { RunningMesh } from './running.ts'

export interface MeshOptions {
  /** How this machine is called. */
  readonly name: string
  /** The port for other agents; undefined takes the usual one, or any where that is taken. */
  readonly port?: number
  /** Addresses of peers that multicast does not reach. */
  readonly peers: readonly HostPort[]
  /** Whether to announce this machine and to listen for others. */
  readonly discovery: boolean
}

export interface MeshModules {
  readonly identity: Identity
  readonly membership: MembershipStore
  readonly invites: Invites
  readonly book: PeerBook
  readonly log: {
    info(message: string): void
    warn(message: string, error?: unknown): void
    error(message: string, error?: unknown): void
  }
  readonly now: () => number
}

export interface Mesh {
  readonly peerId: string
  /** @throws MeshError `invalid_settings` when a port is taken. */
  start(): Promise<void>
  stop(): Promise<void>
  /** What this machine offers from now on. */
  advertise(advertisement: Advertisement): void
  /** Members, this machine first. */
  peers(): MeshPeers
  /** The connected peers. */
  present(): PresentPeer[]
  /** How long an answer of each connected peer takes, in milliseconds. */
  roundTrips(): ReadonlyMap<string, number>
  /** Tells of every peer that comes, goes or offers something else. @returns ends it. */
  onChange(listener: () => void): () => void
  /** Questions to peers, and answers to theirs. @throws MeshError `mesh_unavailable` */
  rpc(): Promise<Rpc>
  /** @throws MeshError `mesh_unavailable` */
  documents(): Promise<Documents>
  /** Channels for large bytes. @throws MeshError `mesh_unavailable` */
  bulk(): Promise<Bulk>
  /** @throws MeshError `mesh_unavailable`, `storage_failed` */
  invite(request: InviteRequest): Promise<IssuedInvite>
  /** @throws MeshError `invite_refused`, `peer_unreachable`, `mesh_unavailable` */
  join(invite: string, leave: boolean): Promise<Joined>
  /** Sends a member away. @throws MeshError `not_found`, `mesh_unavailable` */
  remove(called: string): Promise<Rotated>
  /** Changes the secret of the mesh. @throws MeshError `mesh_unavailable` */
  rotate(): Promise<Rotated>
}

export function createMesh(options: MeshOptions, modules: MeshModules): Mesh {
  const { identity, membership, invites, book, log } = modules
  const { peerId } = identity
  const listeners = new Set<() => void>()
  const tellChange = () => {
    for (const listener of listeners) listener()
  }
  let advertisement: Advertisement | undefined
  let problem: MeshError | undefined
  let starting: Promise<RunningMesh> | undefined
  /** Set once it has started; before, nobody is present. */
  let live: RunningMesh | undefined

  async function run(): Promise<RunningMesh> {
    // Loaded on demand: libp2p takes longer to load than all the rest of an agent to start.
    const { startRunningMesh } = await import('./running.ts')
    return startRunningMesh(
      { ...options, run: randomBytes(6).toString('hex'), advertisement },
      { ...modules, onChange: tellChange, onFailure: fail },
    )
  }

  /** Ends the mesh of this process; the agent goes on alone. */
  function fail(error: MeshError): void {
    problem = error
    log.error(error.message)
    void starting?.then((running) => running.stop()).finally(tellChange)
  }

  async function running(): Promise<RunningMesh> {
    if (problem !== undefined) throw problem
    if (starting === undefined) {
      throw new MeshError('mesh_unavailable', 'The mesh of this agent has not started.')
    }
    return starting
  }

  function nameOf(id: string): string {
    if (id === peerId) return options.name
    return live?.lastSaid(id)?.name ?? book.entry(id)?.name ?? 'unknown'
  }

  function peers(): MeshPeers {
    const { meshId, members } = membership.current()
    const offers = new Map(live?.present().map((one) => [one.peerId, one.advertisement]))
    const names = displayNames(members.map((id) => ({ peerId: id, name: nameOf(id) })))
    const listed = members.map((id): MeshPeer => {
      const entry = book.entry(id)
      const offered = id === peerId ? advertisement : offers.get(id)
      const isAway = id !== peerId && offered === undefined
      return {
        peerId: id,
        name: names.get(id)!,
        state: id === peerId ? 'self' : isAway ? 'away' : 'connected',
        ...(entry?.hosts[0] !== undefined && { host: entry.hosts[0] }),
        ...(entry !== undefined && { lastSeenAtMs: entry.lastSeenAtMs }),
        ...(offered !== undefined && { advertisement: offered }),
      }
    })
    const order = (one: MeshPeer) => (one.state === 'self' ? '' : `1${one.name}`)
    return {
      meshId,
      ...(problem !== undefined && { problem: problem.toReport() }),
      peers: listed.sort((a, b) => order(a).localeCompare(order(b))),
    }
  }

  async function changeSecret(removing: readonly string[]): Promise<Rotated> {
    const { roster } = await running()
    const next = rotated(membership.current(), removing)
    const followed = await roster.apply(next)
    const later = next.members.filter((id) => id !== peerId && !followed.includes(id))
    return { epoch: next.epoch, followed: followed.map(nameOf), later: later.map(nameOf) }
  }

  return {
    peerId,
    async start() {
      starting = run()
      try {
        live = await starting
      } catch (error) {
        problem = MeshError.from(error)
        throw error
      }
      tellChange()
    },
    async stop() {
      await starting?.then(
        (one) => one.stop(),
        () => {},
      )
      await book.settled()
    },
    advertise(next) {
      advertisement = next
      live?.feed.set(next)
    },
    peers,
    present: () => live?.present() ?? [],
    roundTrips: () => live?.roundTrips() ?? new Map(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    rpc: async () => (await running()).rpc,
    documents: async () => (await running()).documents,
    bulk: async () => (await running()).bulk,
    async invite({ uses, expiresInMs }) {
      const { doorPort } = await running()
      const expiresAtMs = modules.now() + expiresInMs
      const { secret } = invites.issue({ uses, expiresAtMs })
      const line = inviteLine({
        secret: Buffer.from(secret, 'base64url'),
        meshId: membership.current().meshId,
        expiresAtMs,
        addresses: reachableAddresses(networkInterfaces()).map(({ address }) => ({
          host: address,
          port: doorPort,
        })),
      })
      return { line, uses, expiresAtMs }
    },
    async join(invite, leave) {
      const mesh = await running()
      const mine = membership.current()
      const welcome = await askToJoin({ invite, leave, name: options.name }, identity, mine)
      await mesh.move(welcome)
      const { meshId, members } = welcome.membership
      const invitedBy = (welcome.acquaintances[0] as Acquaintance).name
      return { meshId, invitedBy, members: members.length }
    },
    async remove(called) {
      const candidates = peers().peers.map((one) => ({ ...one, name: nameOf(one.peerId) }))
      const meant = peersCalled(candidates, called)
      const [one, another] = meant
      if (one === undefined || another !== undefined) throw notOne(called, meant, peers().peers)
      if (one.peerId === peerId) {
        throw new MeshError(
          'not_found',
          'This machine cannot remove itself; another member can, or it joins another mesh.',
        )
      }
      return changeSecret([one.peerId])
    },
    rotate: () => changeSecret([]),
  }
}

function notOne(
  called: string,
  meant: readonly { readonly peerId: string }[],
  all: readonly MeshPeer[],
): MeshError {
  const name = (id: string) => all.find(({ peerId }) => peerId === id)?.name ?? id
  const message =
    meant.length === 0
      ? `There is no peer called '${called}'. There are: ${all.map((one) => one.name).join(', ')}.`
      : `Several peers are called '${called}': say ${meant.map((one) => name(one.peerId)).join(' or ')}.`
  return new MeshError('not_found', message)
}
