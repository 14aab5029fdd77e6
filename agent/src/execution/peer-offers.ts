/**
 * What the planner is told of the mesh: this machine, then every other member with what it offers
 * or why it takes no part. Nothing here waits for the network: what a peer offers is fetched ahead,
 * when it says that it has changed, and what has not arrived yet is not offered yet.
 */
import { type Advertisement, minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import type { Mesh } from '../mesh/mesh.ts'
import type { MeasuredLink, PeerOffer } from '../planning/peers.ts'
import type { LocalPeer } from './local-peer.ts'
import type { Gathering } from './mesh-validation.ts'
import { fetchParts, type OfferedParts, partsKey } from './offered-parts.ts'
import type { Surveyor } from './survey.ts'

export interface PeerOffers {
  start(): void
  stop(): void
  /** This machine's first. As long as nothing changes, the other peers' are the same objects. */
  offers(): Promise<readonly PeerOffer[]>
  /** Those of the other members, as they are known now. */
  others(): readonly PeerOffer[]
  /** Members that are missing may be here with what they offer in a moment. */
  readonly gathering: Gathering
  /** How long the way to each of them takes, as far as it is measured. */
  links(): readonly MeasuredLink[]
}

export interface PeerOffersModules {
  readonly localPeer: Pick<LocalPeer, 'peerId' | 'offer'>
  readonly surveyor: Pick<Surveyor, 'onChange'>
  /** Absent where the agent is alone. */
  readonly mesh?: Pick<Mesh, 'peers' | 'onChange' | 'documents' | 'roundTrips'>
  readonly now: () => number
  readonly warn: (message: string, error?: unknown) => void
}

/** Before a peer is asked again that could not answer. */
const AGAIN_MS = 2000

/** Those who lost each other are together again within 3 s, and then tell what they offer. */
const EXPECTED_MS = 5000

/** What is known of a member. */
interface Known {
  /** The parts that were fetched last: they count until newer ones have arrived. */
  parts?: OfferedParts
  /** The key of those parts, or of those that turned out to be malformed. */
  key?: string
  problem?: string
  isFetching: boolean
}

export function createPeerOffers(modules: PeerOffersModules): PeerOffers {
  const { localPeer, surveyor, mesh, now, warn } = modules
  const known = new Map<string, Known>()
  const stopped = new AbortController()
  /** What several peers offer alike is fetched from one of them. */
  const fetching = new Map<string, Promise<OfferedParts>>()
  const heardAtMs = new WeakMap<Advertisement, number>()
  /** Of the members whose offers are not here. */
  const missingSinceMs = new Map<string, number>()
  let startedAtMs = Number.NEGATIVE_INFINITY
  let knowsOwnModels = false
  let made: readonly PeerOffer[] | undefined
  const listeners = new Set<() => void>()
  let unlisten = () => {}

  function members(): readonly MeshPeer[] {
    return mesh?.peers().peers.filter(({ state }) => state !== 'self') ?? []
  }

  function changed(): void {
    made = undefined
    const present = members()
    for (const { peerId, advertisement } of present) {
      if (advertisement === undefined) continue
      if (!heardAtMs.has(advertisement)) heardAtMs.set(advertisement, now())
      void learn(peerId)
    }
    const ids = new Set(present.map(({ peerId }) => peerId))
    for (const peerId of known.keys()) if (!ids.has(peerId)) known.delete(peerId)
    for (const peerId of missingSinceMs.keys()) if (!ids.has(peerId)) missingSinceMs.delete(peerId)
    noteMissing(present)
    tellChange()
  }

  function tellChange(): void {
    for (const listener of listeners) listener()
  }

  function noteMissing(present: readonly MeshPeer[]): void {
    for (const { peerId, advertisement } of present) {
      const { parts, problem } = known.get(peerId) ?? {}
      // Whoever has just started does not know its models yet.
      const hasSaid = advertisement?.catalogDigest !== undefined
      const isHere = hasSaid && (parts ?? problem) !== undefined
      if (isHere) missingSinceMs.delete(peerId)
      else if (!missingSinceMs.has(peerId)) missingSinceMs.set(peerId, now())
    }
  }

  /** Fetches what a peer offers now, unless it is here or on its way. */
  async function learn(peerId: string): Promise<void> {
    const entry: Known = known.get(peerId) ?? { isFetching: false }
    known.set(peerId, entry)
    const advertisement = members().find((one) => one.peerId === peerId)?.advertisement
    const key = advertisement && partsKey(advertisement)
    if (entry.isFetching || key === undefined || key === entry.key) return
    entry.isFetching = true
    let againMs: number | undefined = 0
    try {
      const alike = [...known.values()].find((one) => one.key === key)?.parts
      const parts = alike ?? (await fetched(key, advertisement!))
      Object.assign(entry, { parts, key, problem: undefined })
    } catch (error) {
      againMs = failed(entry, key, MeshError.from(error))
    }
    entry.isFetching = false
    made = undefined
    noteMissing(members())
    tellChange()
    // It may offer something else by now.
    if (againMs !== undefined && !stopped.signal.aborted && known.get(peerId) === entry)
      setTimeout(() => void learn(peerId), againMs).unref()
  }

  /** Equal parts are one object, whoever offers them, so that they are compared once. */
  async function fetched(key: string, advertisement: Advertisement): Promise<OfferedParts> {
    for (let shared = fetching.get(key); shared !== undefined; shared = fetching.get(key)) {
      // What another peer did wrong says nothing of this one, which is asked itself then.
      const parts = await shared.catch(() => undefined)
      if (parts !== undefined) return parts
    }
    const started = mesh!
      .documents()
      .then((documents) => fetchParts(advertisement, documents, stopped.signal))
      .finally(() => fetching.delete(key))
    fetching.set(key, started)
    return started
  }

  /** @returns when to ask again; undefined for what asking again would not mend. */
  function failed(entry: Known, key: string, error: MeshError): number | undefined {
    if (error.code !== 'peer_incompatible') return AGAIN_MS
    Object.assign(entry, { parts: undefined, key, problem: 'what it offers is not understood' })
    if (!stopped.signal.aborted) warn(error.message)
    return undefined
  }

  function offerOf({ peerId, name, advertisement }: MeshPeer): PeerOffer {
    const entry = known.get(peerId)
    const away = { peerId, name, version: 'unknown' }
    const said = advertisement ?? minimalAdvertisement(away)
    const reason = advertisement === undefined ? 'away' : entry?.problem
    const absence = reason ?? (entry?.parts === undefined ? NOT_KNOWN_YET : undefined)
    return {
      advertisement: said,
      definitions: entry?.parts?.definitions ?? {},
      judgedInputs: entry?.parts?.judgedInputs ?? (() => []),
      ...(entry?.parts !== undefined && { catalog: entry.parts.catalog }),
      ...(absence !== undefined && { absence }),
    }
  }

  /** What it said it still had to do goes on being done. */
  function atThisMoment(offer: PeerOffer): PeerOffer {
    const { busyMs = 0 } = offer.advertisement.queue
    if (busyMs === 0) return offer
    const saidMs = now() - (heardAtMs.get(offer.advertisement) ?? now())
    return { ...offer, waitMs: Math.max(0, busyMs - saidMs) }
  }

  function others(): readonly PeerOffer[] {
    made ??= members().map(offerOf)
    return made
  }

  return {
    others,
    gathering: {
      expectedMs() {
        const isAwaitingOwn = !knowsOwnModels && members().length > 0
        const sinceMs = [...missingSinceMs.values(), ...(isAwaitingOwn ? [startedAtMs] : [])]
        return Math.max(0, ...sinceMs.map((ms) => ms + EXPECTED_MS - now()))
      },
      onChange(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    links: () =>
      [...(mesh?.roundTrips() ?? [])].map(([peerId, roundTripMs]) => ({
        peerIds: [localPeer.peerId, peerId],
        roundTripMs,
      })),
    start() {
      startedAtMs = now()
      const ends = [mesh?.onChange(changed), surveyor.onChange(tellChange)]
      unlisten = () => {
        for (const end of ends) end?.()
      }
      changed()
    },
    stop() {
      stopped.abort()
      unlisten()
    },
    async offers() {
      const own = await localPeer.offer()
      // Until it knows its own models, it cannot tell whether those of others are the same.
      knowsOwnModels = own.catalog !== undefined
      return [own, ...others().map(knowsOwnModels ? atThisMoment : notYet)]
    },
  }
}

const NOT_KNOWN_YET = 'what it offers is not known yet'

function notYet(offer: PeerOffer): PeerOffer {
  return { ...offer, absence: offer.absence ?? NOT_KNOWN_YET }
}
