/** The parts of a mesh that is up, put together; libp2p is loaded with this file. */
import { networkInterfaces } from 'node:os'
import { type Advertisement, minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Acquaintance } from '@comfymesh/protocol/mesh'
import { version } from '../base/version.ts'
import { createDiscovery, type Sighting } from './discovery.ts'
import { createDocuments, type Documents } from './documents.ts'
import { createDoor } from './door.ts'
import { createFeed, type Feed } from './feed.ts'
import { reachableAddresses } from './interfaces.ts'
import type { HostPort } from './invite-line.ts'
import { joinRow, type Welcome } from './joining.ts'
import { createLinks } from './links.ts'
import { isBehind, standingOf } from './membership.ts'
import type { MeshModules, MeshOptions } from './mesh.ts'
import { startNode } from './node.ts'
import { DEFAULT_MESH_PORT, doorPortBeside } from './peer-address.ts'
import { createPresence, type PresentPeer, PULSE_MS } from './presence.ts'
import { protocols } from './protocols.ts'
import { createRoster, type Roster } from './roster.ts'
import { createRpc, type Rpc } from './rpc.ts'

export interface RunningMesh {
  readonly doorPort: number
  readonly rpc: Rpc
  readonly documents: Documents
  readonly feed: Feed<Advertisement>
  readonly roster: Roster
  present(): PresentPeer[]
  /** Leaves the mesh that was and enters another one. */
  move(welcome: Welcome): Promise<void>
  stop(): Promise<void>
}

export interface RunningOptions extends MeshOptions {
  /** Tells this process from others with the same identity. */
  readonly run: string
  readonly advertisement: Advertisement | undefined
}

export interface RunningModules extends MeshModules {
  readonly onChange: () => void
  readonly onFailure: (error: MeshError) => void
}

export async function startRunningMesh(
  options: RunningOptions,
  modules: RunningModules,
): Promise<RunningMesh> {
  const { name } = options
  const { identity, membership, invites, book, log } = modules
  const selfId = identity.peerId
  const startedAtMs = performance.now()
  const now = () => performance.now()
  const stops: (() => Promise<void> | void)[] = []
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end()
  }

  const node = await startNode({
    identity,
    secret: () => membership.current().secret,
    port: options.port ?? DEFAULT_MESH_PORT,
    anyPortWillDo: options.port === undefined,
    isRefused: (peerId) => membership.current().removed.includes(peerId),
  })
  stops.push(() => node.stop())

  const rpc = createRpc({ now }, { streams: node.streams, warn: log.warn })
  const documents = createDocuments({ rpc })
  const feed = createFeed<Advertisement>({
    initial: options.advertisement ?? minimalAdvertisement({ peerId: selfId, name, version }),
    pulseMs: PULSE_MS,
  })
  stops.push(() => feed.stop())

  const self = (): Acquaintance => ({
    peerId: selfId,
    name,
    hosts: reachableAddresses(networkInterfaces()).map(({ address }) => address),
    port: node.port,
    doorPort,
  })
  const acquaintances = () => {
    const { members } = membership.current()
    return [self(), ...book.all().filter(({ peerId }) => members.includes(peerId))]
  }

  const roster = createRoster({ identity, name, membership, rpc, node, ...log, now })
  const door = createDoor({
    follow: roster.followRow,
    join: joinRow({
      invites,
      membership,
      acquaintances,
      onJoined: (who) => log.info(`${who} joined the mesh.`),
    }),
  })
  const doorPort = await listenBeside(door.listen, node.port)
  stops.push(() => door.close())

  const links = createLinks({
    node,
    selfId,
    isWelcome: (peerId) => membership.current().members.includes(peerId),
    onHandshakeFailed: ({ hosts, doorPort }) => roster.follow(doorsOf(hosts, doorPort)),
    now,
  })

  function know(one: Acquaintance): void {
    if (one.peerId === selfId) return
    const lastSeenAtMs = book.entry(one.peerId)?.lastSeenAtMs ?? 0
    book.put({ ...one, lastSeenAtMs })
    links.want(one)
  }

  const presence = createPresence({
    node,
    rpc,
    onArrived: (peer) => {
      void meet(peer)
      log.info(`${peer.advertisement.name} is connected.`)
      modules.onChange()
    },
    onAdvertisement: modules.onChange,
    onGone: ({ peerId, advertisement }) => {
      log.info(`${advertisement.name} is gone.`)
      const entry = book.entry(peerId)
      if (entry !== undefined) book.put({ ...entry, lastSeenAtMs: modules.now() })
      modules.onChange()
    },
    now,
  })

  /** Asks a newcomer how it is reached, and whom it knows besides. */
  async function meet({ peerId }: PresentPeer): Promise<void> {
    try {
      const known = await rpc.call(peerId, protocols.acquaintances, {})
      const { members } = membership.current()
      for (const one of known) {
        if (one.peerId === peerId) {
          const host = node.connections(peerId)[0]?.remoteAddr.toString().split('/')[2]
          const hosts = [...new Set([...(host === undefined ? [] : [host]), ...one.hosts])]
          know({ ...one, hosts: hosts.slice(0, 32) })
          book.put({ ...book.entry(peerId)!, lastSeenAtMs: modules.now() })
        } else if (members.includes(one.peerId) && book.entry(one.peerId) === undefined) know(one)
      }
      modules.onChange()
    } catch (error) {
      log.warn('A peer did not say how it is reached', error)
    }
  }

  const uptimeMs = () => performance.now() - startedAtMs

  function sighted(sighting: Sighting): void {
    const mine = standingOf(membership.current())
    if (sighting.peerId === selfId) sightedTwin(sighting)
    else if (sighting.meshId !== mine.meshId) return
    else if (isBehind(mine, sighting)) roster.follow(doorsOf(sighting.hosts, sighting.doorPort))
    else if (sighting.fingerprint === mine.fingerprint) links.sighted(sighting)
  }

  function sightedTwin({ run, uptimeMs: theirsMs, hosts }: Sighting): void {
    if (run === options.run || theirsMs < uptimeMs()) return
    const message =
      `The agent at ${hosts[0]} has the same identity as this one: one data folder is a copy of the other. ` +
      'This machine stays out of the mesh. Give it an identity of its own with `comfymesh mesh new-identity`, then start it again.'
    modules.onFailure(new MeshError('duplicate_identity', message, { details: { hosts } }))
  }

  const discovery = createDiscovery({
    announcement: () => ({
      ...standingOf(membership.current()),
      peerId: selfId,
      port: node.port,
      doorPort,
      run: options.run,
      uptimeMs: uptimeMs(),
    }),
    onSighting: sighted,
    warn: log.warn,
  })

  await rpc.handle(protocols.acquaintances, acquaintances)
  await rpc.handle(protocols.advertisement, async function* (_, { signal }) {
    for await (const advertisement of feed.follow(signal)) {
      yield advertisement === undefined ? {} : { advertisement }
    }
  })
  await documents.start()
  await roster.start()
  stops.push(() => roster.stop())
  presence.start()
  stops.push(() => presence.stop())
  links.start()
  stops.push(() => links.stop())
  stops.push(
    membership.onChange((next, before) => {
      // Whoever was removed may have seen an invite.
      if (next.secret !== before.secret) invites.withdrawAll()
      if (options.discovery) discovery.announce()
      modules.onChange()
    }),
  )
  for (const entry of book.all()) links.want(entry)
  for (const { host, port } of options.peers) {
    links.want({ hosts: [host], port, doorPort: doorPortBeside(port) })
  }
  if (options.discovery) {
    await discovery.start()
    stops.push(() => discovery.stop())
  }

  return {
    doorPort,
    rpc,
    documents,
    feed,
    roster,
    present: () => presence.present(),
    async move({ membership: next, acquaintances: known }) {
      links.forgetAll()
      await roster.apply(next)
      for (const one of known) know(one)
    },
    stop,
  }
}

const doorsOf = (hosts: readonly string[], port: number): HostPort[] =>
  hosts.map((host) => ({ host, port }))

/** Beside the mesh's port, so that one who knows that one finds it; anywhere else where it is taken. */
async function listenBeside(
  listen: (port: number) => Promise<number>,
  port: number,
): Promise<number> {
  try {
    return await listen(doorPortBeside(port))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return listen(0)
  }
}
