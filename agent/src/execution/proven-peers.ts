/**
 * Which machines have shown that they can work: a stage succeeded there since they joined. What a
 * machine says of itself is a promise; this is what it has kept.
 */
import type { Mesh } from '../mesh/mesh.ts'
import type { JobRunner } from './job-runner.ts'

export interface ProvenPeers {
  /** When a stage last succeeded there since the machine was connected. */
  workedAtMs(peerId: string): number | undefined
  stop(): void
}

export function createProvenPeers(modules: {
  readonly runner: Pick<JobRunner, 'subscribe'>
  readonly mesh: Pick<Mesh, 'peerId' | 'present' | 'onChange'>
}): ProvenPeers {
  const { runner, mesh } = modules
  const worked = new Map<string, number>()
  const unsubscribe = runner.subscribe(({ event }) => {
    if (event.type === 'stage-finished') worked.set(event.peerId, event.atMs)
  })
  const unfollow = mesh.onChange(() => {
    const present = new Set([mesh.peerId, ...mesh.present().map(({ peerId }) => peerId)])
    for (const peerId of worked.keys()) if (!present.has(peerId)) worked.delete(peerId)
  })
  return {
    workedAtMs: (peerId) => worked.get(peerId),
    stop() {
      unsubscribe()
      unfollow()
    },
  }
}
