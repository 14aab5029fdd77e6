/** How busy the machines were while this page looked on, for charts. */
import type { Device } from '@comfymesh/protocol/advertisement'
import type { MeshPeers } from '@comfymesh/protocol/mesh'
import { createStore } from './store.ts'

export interface LoadSample {
  readonly atMs: number
  /** 0 to 100; absent where the machine does not tell. */
  readonly memoryPercent?: number
  readonly loadPercent?: number
  /** Jobs that run or wait there. */
  readonly jobs: number
}

/** By peer, the oldest sample first. */
export type LoadHistory = ReadonlyMap<string, readonly LoadSample[]>

/** A quarter of an hour. */
export const HISTORY_MS = 15 * 60_000

export const loadHistory = createStore<LoadHistory>(new Map())

/** Keeps what the machines tell at this moment; forgets what is older than the charts. */
export function recordLoads({ peers }: MeshPeers, nowMs: number): void {
  loadHistory.set((before) => withSamples(before, peers, nowMs))
}

export function withSamples(
  before: LoadHistory,
  peers: MeshPeers['peers'],
  nowMs: number,
): LoadHistory {
  return new Map(
    peers.map(({ peerId, advertisement }) => {
      const kept = (before.get(peerId) ?? []).filter(({ atMs }) => nowMs - atMs <= HISTORY_MS)
      if (advertisement === undefined) return [peerId, kept]
      const { running, waiting } = advertisement.queue
      const device = mainDevice(advertisement.devices)
      const sample = { atMs: nowMs, jobs: running + waiting, ...(device && loadOf(device)) }
      return [peerId, [...kept, sample]]
    }),
  )
}

/** What the machine computes on: its first graphics card, or else its processor. */
export function mainDevice(devices: readonly Device[]): Device | undefined {
  return devices.find(({ kind }) => kind === 'gpu') ?? devices[0]
}

function loadOf({ totalBytes, freeBytes, utilisationPercent }: Device) {
  return {
    ...(freeBytes !== undefined && {
      memoryPercent: (100 * (totalBytes - freeBytes)) / totalBytes,
    }),
    ...(utilisationPercent !== undefined && { loadPercent: utilisationPercent }),
  }
}
