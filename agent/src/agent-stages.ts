/** Where the stages of an agent run: its own worker, and those of the other peers. */
import type { FetchValues } from './execution/perform-stage.ts'
import { createRemoteWorker } from './execution/remote-worker.ts'
import { createStageClient, type StageClient } from './execution/stage-client.ts'
import { createStageWorker, type StageWorker } from './execution/stage-worker.ts'
import type { Executor } from './executors/executor.ts'
import type { Mesh } from './mesh/mesh.ts'
import type { BlobStore } from './store/blobs.ts'

export interface AgentStages {
  readonly worker: StageWorker
  readonly client: StageClient
}

export function prepareStages(
  peerId: string,
  modules: {
    readonly executor: Executor
    readonly blobs: BlobStore
    readonly fetch: FetchValues
    /** Absent where the agent is alone. */
    readonly mesh: Mesh | undefined
  },
): AgentStages {
  const { executor, blobs, fetch, mesh } = modules
  const now = () => performance.now()
  const worker = createStageWorker({ peerId }, { executor, blobs, fetch, now })
  const client = createStageClient({
    worker(id) {
      if (id === peerId) return worker
      return mesh && createRemoteWorker({ peerId: id }, { rpc: mesh.rpc, blobs, fetch })
    },
  })
  return { worker, client }
}
