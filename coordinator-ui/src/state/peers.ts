/** The machines of the mesh: one question for all views that show them. */
import type { MeshPeer, MeshPeers } from '@comfymesh/protocol/mesh'
import { useQuery } from '@tanstack/react-query'
import { useHealth } from '../api/health.ts'
import { readPeers } from '../api/mesh.ts'

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

/** How to call a machine, by its id or its name; of one that is no member any more, the end of its id. */
export function usePeerNames(): (peerId: string) => string {
  const { data } = usePeers()
  return (peerId) => peerName(data?.peers ?? [], peerId)
}

export function peerName(peers: readonly MeshPeer[], peerId: string): string {
  // An agent whose mesh is off calls itself so.
  if (peerId === 'local') return 'this machine'
  const meant = peers.find((peer) => peer.peerId === peerId || peer.name === peerId)
  return meant?.name ?? `…${peerId.slice(-6)}`
}
