/**
 * Finding agents on the LAN by multicast DNS (DNS-SD): each announces itself on every interface
 * and hears the others. What is said is public: ids and ports, nothing by which one could enter.
 */
import { networkInterfaces } from 'node:os'
import { z } from 'zod'
import { announcedInterfaces, type Interfaces } from './interfaces.ts'
import type { Standing } from './membership.ts'

/** What an agent says of itself. */
export interface Announcement extends Standing {
  readonly peerId: string
  readonly port: number
  readonly doorPort: number
  /** Tells two processes with one identity apart. */
  readonly run: string
}

/** An announcement and where it came from. */
export interface Sighting extends Announcement {
  /** The address that it was sent from first; that one certainly leads there. */
  readonly hosts: readonly string[]
}

export interface Discovery {
  start(): Promise<void>
  /** Tells everybody anew, as after a change. */
  announce(): void
  stop(): Promise<void>
}

export interface DiscoveryModules {
  readonly announcement: () => Announcement
  readonly onSighting: (sighting: Sighting) => void
  readonly warn: (message: string, error?: unknown) => void
  /** Replaced by tests. */
  readonly interfaces?: () => Interfaces
}

const SERVICE = '_comfymesh._tcp.local'
const RECORD_TTL_SECONDS = 120

/** At the start and when an interface appears: one packet may get lost. */
const BURST_DELAYS_MS = [0, 250, 1000, 3000]
/** A hundred peers make some three packets a second. */
const ANNOUNCE_INTERVAL_MS = 30_000
/** Whoever asks hears all others; they need not answer several askers one by one. */
const MIN_ANSWER_GAP_MS = 500
const INTERFACE_POLL_MS = 1000

type Responder = import('multicast-dns').MulticastDNS

interface Record {
  readonly name: string
  readonly type: string
  readonly ttl?: number
  readonly data?: unknown
}

export function createDiscovery(modules: DiscoveryModules): Discovery {
  const { announcement, onSighting, warn } = modules
  const interfaces = modules.interfaces ?? networkInterfaces
  const responders = new Map<string, Responder>()
  const timers = new Set<NodeJS.Timeout>()
  const complained = new Set<string>()
  let makeResponder: typeof import('multicast-dns') | undefined
  let lastSaidAtMs = Number.NEGATIVE_INFINITY

  function complainOnce(what: string, error: unknown): void {
    if (complained.has(what)) return
    complained.add(what)
    warn(what, error)
  }

  function later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, delayMs)
    timers.add(timer)
  }

  function announce(): void {
    lastSaidAtMs = performance.now()
    for (const [address, responder] of responders) {
      responder.respond({ answers: recordsOf(announcement(), address) as never }, sent(address))
    }
  }

  function ask(): void {
    for (const [address, responder] of responders) {
      responder.query({ questions: [{ name: SERVICE, type: 'PTR' }] }, sent(address))
    }
  }

  const sent = (address: string) => (error?: Error | null) => {
    if (!error) return
    const what = `Multicast cannot be sent from ${address}, so machines there may not find this one by themselves; name them with --peer`
    complainOnce(what, error)
  }

  function burst(): void {
    for (const delayMs of BURST_DELAYS_MS) {
      later(delayMs, () => {
        announce()
        ask()
      })
    }
  }

  /** Sockets for the interfaces of this moment. @returns whether there is a new one. */
  function followInterfaces(): boolean {
    const addresses = new Set(announcedInterfaces(interfaces()).map(({ address }) => address))
    for (const [address, responder] of responders) {
      if (addresses.has(address)) continue
      responders.delete(address)
      responder.destroy()
    }
    const added = [...addresses].filter((address) => !responders.has(address))
    for (const address of added) responders.set(address, open(address))
    return added.length > 0
  }

  function open(address: string): Responder {
    // Bound to all addresses: a socket bound to one gets no multicast on Linux.
    const responder = makeResponder!({ interface: address, bind: '0.0.0.0', reuseAddr: true })
    responder.on('error', (error: Error) => {
      const what = `Machines on the network of ${address} cannot be found by multicast DNS; name them with --peer`
      complainOnce(what, error)
    })
    responder.on('query', ({ questions }) => {
      const isMeant = (questions ?? []).some(({ name }) => name.toLowerCase() === SERVICE)
      if (isMeant && performance.now() - lastSaidAtMs > MIN_ANSWER_GAP_MS) announce()
    })
    responder.on('response', (packet, { address: from }) => {
      const records = [
        ...(packet.answers ?? []),
        ...(packet.additionals ?? []),
      ] as readonly Record[]
      const heard = announcementIn(records)
      if (heard !== undefined) onSighting({ ...heard, hosts: hostsOf(records, from) })
    })
    return responder
  }

  return {
    async start() {
      makeResponder = (await import('multicast-dns')).default
      followInterfaces()
      burst()
      const every = (intervalMs: number, act: () => void) =>
        timers.add(setInterval(act, intervalMs))
      every(ANNOUNCE_INTERVAL_MS, announce)
      every(INTERFACE_POLL_MS, () => {
        if (followInterfaces()) burst()
      })
    },
    announce: burst,
    async stop() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      const open = [...responders.values()]
      responders.clear()
      await Promise.all(open.map((one) => new Promise<void>((done) => one.destroy(done))))
    },
  }
}

/** The records by which DNS-SD describes a service, for one of our addresses. */
function recordsOf(said: Announcement, address: string): Record[] {
  // A label of DNS has at most 63 bytes; a peer id alone takes 52.
  const instance = `${said.run}.${SERVICE}`
  const target = `${said.run}.comfymesh.local`
  const ttl = RECORD_TTL_SECONDS
  const text = {
    peer: said.peerId,
    mesh: said.meshId,
    epoch: said.epoch,
    key: said.fingerprint,
    door: said.doorPort,
    run: said.run,
  }
  return [
    { name: SERVICE, type: 'PTR', ttl, data: instance },
    { name: instance, type: 'SRV', ttl, data: { port: said.port, target } },
    {
      name: instance,
      type: 'TXT',
      ttl,
      data: Object.entries(text).map(([name, value]) => `${name}=${value}`),
    },
    { name: target, type: 'A', ttl, data: address },
  ]
}

const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
const portNumber = wholeNumber.refine((port) => port >= 1 && port <= 65_535)

const textSchema = z.object({
  peer: z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{20,128}$/),
  mesh: z.string().regex(/^[0-9a-f]{16}$/),
  epoch: wholeNumber,
  key: z.string().regex(/^[0-9a-f]{16}$/),
  door: portNumber,
  run: z.string().regex(/^[0-9a-z]{1,32}$/),
})

/** What the records of a packet say, if they are ours; anybody on the network can send any. */
export function announcementIn(records: readonly Record[]): Announcement | undefined {
  const ours = records.filter(({ name }) => name.toLowerCase().endsWith(`.${SERVICE}`))
  const port = (ours.find(({ type }) => type === 'SRV')?.data as { port?: unknown })?.port
  const lines = ours.find(({ type }) => type === 'TXT')?.data
  if (typeof port !== 'number' || !Array.isArray(lines)) return undefined
  const entries = lines.map((line) => String(line)).map((line) => /^(\w+)=(.*)$/s.exec(line))
  const text = textSchema.safeParse(
    Object.fromEntries(entries.flatMap((match) => (match ? [[match[1], match[2]]] : []))),
  )
  if (!text.success) return undefined
  const { peer, mesh, epoch, key, door, run } = text.data
  return {
    peerId: peer,
    meshId: mesh,
    epoch,
    fingerprint: key,
    port,
    doorPort: door,
    run,
  }
}

function hostsOf(records: readonly Record[], from: string): string[] {
  const named = records.flatMap(({ type, data }) => (type === 'A' ? [String(data)] : []))
  return [...new Set([from, ...named])].slice(0, 8)
}
