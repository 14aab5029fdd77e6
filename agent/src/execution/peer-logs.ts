/** The log of every peer: this machine's as it is kept, the others' by asking them. */
import { MeshError } from '@comfymesh/protocol/errors'
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
  readonly mesh?: Pick<Mesh, 'rpc'>
}

/** @param options.peerId of this machine. */
export function createPeerLogs(
  options: { readonly peerId: string },
  { log, mesh }: PeerLogsModules,
): PeerLogs {
  return {
    async read(request, peerId = options.peerId) {
      if (peerId === options.peerId) return log.recent(request)
      if (mesh === undefined) {
        const message = `The log of ${peerId} cannot be asked for: this agent takes part in no mesh, as its settings say (--mesh off). Start it without.`
        throw new MeshError('mesh_unavailable', message)
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
