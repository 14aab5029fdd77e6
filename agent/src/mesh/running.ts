/** The parts of a mesh that is up, put together; libp2p is loaded with this file. */
import { type Advertisement, minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import type { MeshError } from '@comfymesh/protocol/errors'
import { version } from '../base/version.ts'
import { createAcquaintances } from './acquaintances.ts'
import { type Bulk, createBulk } from './bulk.ts'
import { createDiscovery } from './discovery.ts'
import { createDocuments, type Documents } from './documents.ts'
import { createDoor, type Door } from './door.ts'
import { createFeed, type Feed } from './feed.ts'
import { joinRow, type Welcome } from './joining.ts'
import { createLinks } from './links.ts'
import { standingOf } from './membership.ts'
import type { MeshModules, MeshOptions } from './mesh.ts'
import { startNode } from './node.ts'
import { bulkPortBeside, DEFAULT_MESH_PORT, doorPortBeside } from './peer-address.ts'
import { createPresence, type PresentPeer } from './presence.ts'
import { protocols } from './protocols.ts'
import { createRoster, type Roster } from './roster.ts'
import { createRpc, type Rpc } from './rpc.ts'
import { createSightings } from './sightings.ts'
import { createSignsOfLife } from './signs-of-life.ts'
import { withSpareStreams } from './spare-streams.ts'
import { createTwinWatch } from './twin.ts'

export interface RunningMesh {
  readonly doorPort: number
  readonly rpc: Rpc
  readonly documents: Documents
  readonly bulk: Bulk
  readonly feed: Feed<Advertisement>
  readonly roster: Roster
  present(): PresentPeer[]
  /** Milliseconds by peer. */
  roundTrips(): ReadonlyMap<string, number>
  /** What a peer said last, also when it is gone. */
  lastSaid(peerId: string): Advertisement | undefined
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

/** The release before counts on a pulse so often. */
const PULSE_MS = 2000

type Stop = () => Promise<void> | void

/** When a part does not start, those before it are stopped again. */
export async function startRunningMesh(
  options: RunningOptions,
  modules: RunningModules,
): Promise<RunningMesh> {
  const stops: Stop[] = []
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end()
  }
  try {
    return { ...(await startParts(options, modules, (end) => stops.push(end))), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startParts(
  options: RunningOptions,
  modules: RunningModules,
  onStop: (stop: Stop) => void,
): Promise<Omit<RunningMesh, 'stop'>> {
  const { name } = options
  const { identity, membership, invites, book, log, onChange } = modules
  const { peerId } = identity
  const now = () => performance.now()
  const startedAtMs = now()

  const signsOfLife = createSignsOfLife({ now })
  signsOfLife.start()
  onStop(() => signsOfLife.stop())
  const node = await startNode({
    identity,
    secret: () => membership.current().secret,
    port: options.port ?? DEFAULT_MESH_PORT,
    anyPortWillDo: options.port === undefined,
    isRefused: (id) => membership.current().removed.includes(id),
    onLine: signsOfLife.watch,
  })
  onStop(() => node.stop())
  const rpc = createRpc(
    { now },
    {
      // What a small stage waits for most is the stream that it goes out on.
      streams: withSpareStreams(node.streams, new Set([protocols.stage.id])),
      releaseOf: (id) => presence.lastSaid(id)?.version,
      warn: log.warn,
    },
  )
  const documents = createDocuments({ rpc })
  const bulk = createBulk({ now }, { rpc, streams: node.streams, node })
  await listenBeside(bulk, bulkPortBeside(node.port))
  onStop(() => bulk.close())
  const feed = createFeed<Advertisement>({
    initial: options.advertisement ?? minimalAdvertisement({ peerId, name, version }),
    pulseMs: PULSE_MS,
  })
  onStop(() => feed.stop())

  const roster = createRoster({ identity, name, membership, rpc, node, ...log, now })
  const links = createLinks({
    node,
    selfId: peerId,
    isWelcome: (id) => membership.current().members.includes(id),
    onHandshakeFailed: ({ hosts, doorPort }) =>
      roster.follow(hosts.map((host) => ({ host, port: doorPort }))),
    now,
  })
  const acquaintances = createAcquaintances(
    { peerId, name, port: node.port, doorPort: () => doorPort },
    { membership, book, links, rpc, node, now: modules.now, warn: log.warn },
  )
  const twins = createTwinWatch({
    identity,
    name,
    membership,
    self: () => ({ peerId, run: options.run, uptimeMs: now() - startedAtMs }),
    onOlderTwin: modules.onFailure,
  })
  const door = createDoor({
    who: twins.row,
    follow: roster.followRow,
    join: joinRow({
      invites,
      membership,
      acquaintances: acquaintances.all,
      onJoined: (who) => log.info(`${who} joined the mesh.`),
    }),
  })
  const doorPort = await listenBeside(door, doorPortBeside(node.port))
  onStop(() => door.close())

  const presence = createPresence({
    node,
    rpc,
    onArrived: (peer) => {
      log.info(`${peer.advertisement.name} is connected.`)
      onChange()
      void acquaintances.meet(peer.peerId).then(onChange)
    },
    onAdvertisement: onChange,
    onGone: (peer) => {
      log.info(`${peer.advertisement.name} is gone.`)
      acquaintances.seen(peer.peerId)
      onChange()
    },
  })

  const announcement = () => ({
    ...standingOf(membership.current()),
    peerId,
    port: node.port,
    doorPort,
    run: options.run,
  })
  const onSighting = createSightings({ self: announcement, links, roster, twins })
  const discovery = createDiscovery({ announcement, onSighting, warn: log.warn })

  await acquaintances.start()
  await documents.start()
  await rpc.handle(protocols.advertisement, async function* ({ pulses }, { signal }) {
    for await (const advertisement of feed.follow(signal, pulses)) {
      yield advertisement === undefined ? {} : { advertisement }
    }
  })
  await rpc.handle(protocols.ping, () => ({}))
  await roster.start()
  onStop(() => roster.stop())
  presence.start()
  onStop(() => presence.stop())
  links.start()
  onStop(() => links.stop())
  const unlisten = membership.onChange((next, before) => {
    // Whoever was removed may have seen an invite.
    if (next.secret !== before.secret) invites.withdrawAll()
    bulk.closeRefused((id) => next.removed.includes(id))
    if (options.discovery) discovery.announce()
    links.reconsider()
    onChange()
  })
  onStop(unlisten)
  for (const entry of book.all()) links.want(entry)
  for (const { host, port } of options.peers) {
    links.want({ hosts: [host], port, doorPort: doorPortBeside(port) })
  }
  if (options.discovery) {
    await discovery.start()
    onStop(() => discovery.stop())
  }

  return {
    doorPort,
    rpc,
    documents,
    bulk,
    feed,
    roster,
    present: presence.present,
    roundTrips: signsOfLife.roundTrips,
    lastSaid: presence.lastSaid,
    async move({ membership: next, acquaintances: known }) {
      links.forgetAll()
      await roster.apply(next)
      for (const one of known) acquaintances.know(one)
    },
  }
}

/** Beside the mesh's port, so that who knows that one finds it; anywhere else where it is taken. */
async function listenBeside(listener: Pick<Door, 'listen'>, port: number): Promise<number> {
  try {
    return await listener.listen(port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return listener.listen(0)
  }
}
