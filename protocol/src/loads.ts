/** How full and how busy the machines of a mesh were, for charts. Pure. */
import { z } from 'zod'
import type { Device } from './advertisement.ts'
import type { MeshPeers } from './mesh.ts'

const loadSampleSchema = z.object({
  atMs: z.number(),
  /** 0 to 100; absent where the machine does not tell. */
  memoryPercent: z.number().optional(),
  loadPercent: z.number().optional(),
  /** Jobs that run or wait there. */
  jobs: z.number(),
})

/** By peer id, the oldest sample first. */
export const loadHistorySchema = z.record(z.string(), z.array(loadSampleSchema))

export type LoadHistory = z.infer<typeof loadHistorySchema>

/** A quarter of an hour. */
export const LOAD_HISTORY_MS = 15 * 60_000

/** With what the machines tell at this moment, and without what is older than the charts. */
export function withLoads(
  before: LoadHistory,
  peers: MeshPeers['peers'],
  nowMs: number,
): LoadHistory {
  const histories = peers.map(({ peerId, advertisement }) => {
    const kept = (before[peerId] ?? []).filter(({ atMs }) => nowMs - atMs <= LOAD_HISTORY_MS)
    if (advertisement === undefined) return [peerId, kept] as const
    const { running, waiting } = advertisement.queue
    const device = mainDevice(advertisement.devices)
    const sample = { atMs: nowMs, jobs: running + waiting, ...(device && loadOf(device)) }
    return [peerId, [...kept, sample]] as const
  })
  return Object.fromEntries(histories)
}

/** What the machine computes on: its first graphics card, or else its processor. */
export function mainDevice(devices: readonly Device[]): Device | undefined {
  return devices.find(({ kind }) => kind === 'gpu') ?? devices[0]
}

function loadOf({ totalBytes, freeBytes, utilisationPercent }: Device) {
  const takenPercent = (free: number) => (100 * (totalBytes - free)) / totalBytes
  return {
    ...(freeBytes !== undefined && { memoryPercent: takenPercent(freeBytes) }),
    ...(utilisationPercent !== undefined && { loadPercent: utilisationPercent }),
  }
}
