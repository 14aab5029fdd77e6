/** How many jobs run at once: one on a machine that is alone, more as long as a peer has nothing to do. */
import type { JobState } from '@comfymesh/protocol/job'
import type { PeerOffer } from '../planning/peers.ts'
import { offersWith, plannedWork } from '../planning/replan.ts'

export interface JobSlots {
  /** How many peers can work, this machine among them. */
  peers(): number
  /** Whether another job may be planned now, these being carried out. */
  hasRoom(running: readonly JobState[]): boolean
  /** The peers as the planner is to see them, with what they have to do for these jobs. */
  offersBehind(running: readonly JobState[]): Promise<readonly PeerOffer[]>
}

export interface JobSlotsModules {
  /** This machine. */
  readonly peerId: string
  /** This machine's own first. */
  readonly offers: () => Promise<readonly PeerOffer[]>
  /** Those of the other members, as they are known now. */
  readonly others?: () => readonly PeerOffer[]
  readonly now: () => number
}

/**
 * A peer that is four times as fast as another has three jobs waiting before the slow one is worth
 * its while; further ones wait here, where they can still be moved and cancelled.
 */
const JOBS_PER_PEER = 4

export function createJobSlots(modules: JobSlotsModules): JobSlots {
  const { peerId, offers, others = () => [], now } = modules
  const present = () => others().filter(({ absence }) => absence === undefined)

  function isIdle({ advertisement }: PeerOffer, busy: ReadonlySet<string>): boolean {
    const { queue } = advertisement
    return !busy.has(advertisement.peerId) && (queue.busyMs ?? queue.running + queue.waiting) === 0
  }

  return {
    peers: () => 1 + present().length,
    hasRoom(running) {
      if (running.length === 0) return true
      const peers = present()
      if (peers.length === 0 || running.length >= JOBS_PER_PEER * (1 + peers.length)) return false
      const busy = new Set(plannedWork(running, now()).keys())
      return !busy.has(peerId) || peers.some((peer) => isIdle(peer, busy))
    },
    offersBehind: async (running) => offersWith(await offers(), plannedWork(running, now())),
  }
}
