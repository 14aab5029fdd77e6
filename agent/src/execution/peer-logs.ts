/** The log of every peer: this machine's as it is kept, the others' by asking them. */
import type { LogLine, LogRequest } from '@comfymesh/protocol/log-lines'
import type { Mesh } from '../mesh/mesh.ts'
import { protocols } from '../mesh/protocols.ts'
import type { Log } from '../telemetry/log.ts'

export interface PeerLogs {
  /**
   * @param peerId of whom; absent for this machine.
   * @throws MeshError `peer_unreachable`, `peer_incompatible` of an older release, `mesh_unavailable`
   */
  read(request: LogRequest, peerId?: string): Promise<LogLine[]>
}

export interface PeerLogsModules {
  readonly log: Pick<Log, 'recent'>
  /** Absent where the settings switch it off. */
  readonly mesh?: Pick<Mesh, 'peerId' | 'rpc'>
}

export function createPeerLogs({ log, mesh }: PeerLogsModules): PeerLogs {
  return {
    async read(request, peerId) {
      if (mesh === undefined || peerId === undefined || peerId === mesh.peerId) {
        return log.recent(request)
      }
      const rpc = await mesh.rpc()
      return rpc.call(peerId, protocols.logs, request)
    },
  }
}

/** Tells the other peers what the log of this machine says. */
export async function servePeerLogs(modules: Required<PeerLogsModules>): Promise<void> {
  const rpc = await modules.mesh.rpc()
  await rpc.handle(protocols.logs, (request) => modules.log.recent(request))
}
