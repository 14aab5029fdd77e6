/**
 * The peers as the planner sees them: plain data, in an order that does not depend on
 * who was heard of first. What advertisements say becomes what planning needs only here.
 */
import type {
  Advertisement,
  Catalog,
  CatalogModel,
  Device,
} from '@comfymesh/protocol/advertisement'
import { displayNames } from '@comfymesh/protocol/ids'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'

/** What the planner is told of a peer. */
export interface PeerOffer {
  readonly advertisement: Advertisement
  /** The nodes it runs, its own models in their dropdowns. */
  readonly definitions: NodeDefinitions
  /** Inputs of a class that its own code judges: not bound to their dropdowns. */
  readonly judgedInputs: (classType: string) => readonly string[]
  /** Its models by content identity; absent while nobody knows them. */
  readonly catalog?: Catalog
  /** Why it takes part in nothing now, in words for the user, such as 'away'. */
  readonly absence?: string
  /** Until what runs and waits there is done; absent: as it advertises, or guessed from its queue. */
  readonly waitMs?: number
}

/** How fast bytes go between two peers, in either direction; as usual where it is not measured. */
export interface MeasuredLink {
  readonly peerIds: readonly [string, string]
  readonly bytesPerSecond?: number
  readonly roundTripMs?: number
}

export interface Peer {
  readonly index: number
  /** Its place in sets of peers, which are bits of one number. */
  readonly bit: bigint
  readonly peerId: string
  /** A name that no other peer has. */
  readonly name: string
  readonly isHere: boolean
  /** Why it takes part in nothing: away, or failed this job before. */
  readonly absence: string | undefined
  readonly offer: PeerOffer
  /** What a stage may use of its largest device; infinite where nobody knows. */
  readonly memoryBytes: number
  /** By plain name, all kinds together; undefined while nobody knows them. */
  readonly models: ReadonlyMap<string, readonly CatalogModel[]> | undefined
  readonly residentModels: ReadonlySet<string>
  readonly waitMs: number
  readonly gflops: number
}

export interface Peers {
  /** The submitting peer first, then by id: whoever comes first wins a tie. */
  readonly list: readonly Peer[]
  readonly byId: ReadonlyMap<string, Peer>
  /** @returns milliseconds; 0 within one peer. */
  transferMs(from: Peer, to: Peer, bytes: number): number
}

/** What a job took most often, as long as a peer says only how many of them wait. */
const USUAL_JOB_MS = 20_000

/** Before anything is measured: a mid-range GPU, and a desktop's CPU, in float32. */
const USUAL_GPU_GFLOPS = 8_000
const USUAL_CPU_GFLOPS = 250

/** Gigabit Ethernet in a house, until the link is measured. */
const USUAL_LINK = { bytesPerSecond: 110e6, roundTripMs: 1 }

export interface PeersInput {
  readonly peers: readonly PeerOffer[]
  /** The peer that plans: it wins ties, holds the uploaded files and gets the results. */
  readonly submitterId: string
  readonly links?: readonly MeasuredLink[]
  /** Peers that take no part, each with the reason. */
  readonly excluded?: ReadonlyMap<string, string>
}

export function peersOf({ peers, submitterId, links = [], excluded }: PeersInput): Peers {
  const names = displayNames(peers.map(({ advertisement }) => advertisement))
  const list = inOrder(peers, submitterId).map((offer, index): Peer => {
    const { peerId, residentModels, queue, benchmarkGflops } = offer.advertisement
    return {
      index,
      bit: 1n << BigInt(index),
      peerId,
      name: names.get(peerId)!,
      isHere: peerId === submitterId,
      absence: excluded?.get(peerId) ?? offer.absence,
      offer,
      memoryBytes: memoryOf(offer),
      models: offer.catalog && modelsByName(offer.catalog),
      residentModels: new Set(residentModels),
      waitMs: offer.waitMs ?? queue.busyMs ?? (queue.running + queue.waiting) * USUAL_JOB_MS,
      gflops: benchmarkGflops ?? usualGflops(offer),
    }
  })
  const byId = new Map(list.map((peer) => [peer.peerId, peer]))
  return { list, byId, transferMs: transfers(list, byId, links) }
}

/** The submitting peer first, then by id. */
export function inOrder(peers: readonly PeerOffer[], submitterId: string): PeerOffer[] {
  const rank = ({ advertisement: { peerId } }: PeerOffer) => (peerId === submitterId ? 0 : 1)
  return peers.toSorted(
    (a, b) => rank(a) - rank(b) || (a.advertisement.peerId < b.advertisement.peerId ? -1 : 1),
  )
}

/** Workflows made on Windows write `sub\model` for `sub/model`. */
export function plainName(name: string): string {
  return name.replaceAll('\\', '/')
}

function modelsByName(catalog: Catalog): Map<string, CatalogModel[]> {
  const models = new Map<string, CatalogModel[]>()
  for (const model of catalog) {
    const name = plainName(model.name)
    models.set(name, [...(models.get(name) ?? []), model])
  }
  return models
}

/** What is free, and what our own models hold: those give way to others. */
function memoryOf({ advertisement, catalog = [] }: PeerOffer): number {
  const { memoryBudgetBytes = Number.POSITIVE_INFINITY, residentModels } = advertisement
  const used = usedDevices(advertisement)
  if (used.length === 0) return memoryBudgetBytes
  const resident = new Set(residentModels)
  const yielding = new Map(
    catalog.filter(({ id }) => resident.has(id)).map(({ id, sizeBytes }) => [id, sizeBytes]),
  )
  const yieldingBytes = [...yielding.values()].reduce((sum, bytes) => sum + bytes, 0)
  const available = used.map(({ kind, totalBytes, freeBytes = totalBytes }) =>
    // Weights are mapped files: the system takes their pages, and those of others, when it must.
    kind === 'cpu' ? totalBytes : Math.min(totalBytes, freeBytes + yieldingBytes),
  )
  return Math.min(memoryBudgetBytes, Math.max(...available))
}

/** A card that its executor cannot compute on is of no use; all devices as long as nobody knows. */
function usedDevices({ devices, executors }: Advertisement): readonly Device[] {
  const providers = executors.flatMap(({ provider }) => provider ?? [])
  if (providers.length === 0) return devices
  const kind = providers.every((provider) => provider === 'cpu') ? 'cpu' : 'gpu'
  return devices.filter((device) => device.kind === kind)
}

function usualGflops({ advertisement }: PeerOffer): number {
  return usedDevices(advertisement).some(({ kind }) => kind === 'gpu')
    ? USUAL_GPU_GFLOPS
    : USUAL_CPU_GFLOPS
}

function transfers(
  list: readonly Peer[],
  byId: ReadonlyMap<string, Peer>,
  links: readonly MeasuredLink[],
): Peers['transferMs'] {
  const count = list.length
  const msPerByte = new Float64Array(count * count).fill(1000 / USUAL_LINK.bytesPerSecond)
  const roundTrips = new Float64Array(count * count).fill(USUAL_LINK.roundTripMs)
  for (const { peerIds, bytesPerSecond, roundTripMs } of links) {
    const [a, b] = peerIds.map((id) => byId.get(id))
    if (a === undefined || b === undefined) continue
    for (const at of [a.index * count + b.index, b.index * count + a.index]) {
      if (bytesPerSecond !== undefined) msPerByte[at] = 1000 / bytesPerSecond
      if (roundTripMs !== undefined) roundTrips[at] = roundTripMs
    }
  }
  return (from, to, bytes) => {
    if (from === to) return 0
    const at = from.index * count + to.index
    return roundTrips[at]! + bytes * msPerByte[at]!
  }
}
