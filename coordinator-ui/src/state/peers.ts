/** The machines of the mesh: one question for all views that show them. */
import type { JobState } from '@comfymesh/protocol/job'
import type { MeshPeer, MeshPeers } from '@comfymesh/protocol/mesh'
import { useQuery } from '@tanstack/react-query'
import { useHealth } from '../api/health.ts'
import { readPeers } from '../api/mesh.ts'
import { plannedNames } from './plan-words.ts'

const REFRESH_MS = 2000

/** Never any where the agent takes part in no mesh. */
export function usePeers() {
  const health = useHealth()
  return useQuery<MeshPeers>({
    enabled: health?.mesh === true,
    queryKey: ['peers'],
    queryFn: ({ signal }) => readPeers(signal),
    refetchInterval: REFRESH_MS,
  })
}

/**
 * How to call a machine, by its id or its name.
 * @param job whose plans know the names of those that are no members any more, and of all before
 *   the mesh was read.
 */
export function usePeerNames(job?: JobState): (peerId: string) => string {
  const { data } = usePeers()
  return (peerId) => peerName(data?.peers ?? [], peerId, job)
}

export function peerName(
  peers: readonly Pick<MeshPeer, 'peerId' | 'name'>[],
  peerId: string,
  job?: JobState,
): string {
  const meant = peers.find((peer) => peer.peerId === peerId || peer.name === peerId)
  // An agent whose mesh is off calls itself so.
  if (peerId === 'local') return 'this machine'
  const name = meant?.name ?? (job && plannedNames(job).get(peerId))
  return name ?? `…${peerId.slice(-6)}`
}
