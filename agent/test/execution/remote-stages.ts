/** Two peers in memory, one of which runs the stages of the other. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { FetchValues } from '../../src/execution/perform-stage.ts'
import { createRemoteWorker, type RemoteWorkerOptions } from '../../src/execution/remote-worker.ts'
import { serveStages } from '../../src/execution/stage-service.ts'
import { createStageWorker, type StageWorkerOptions } from '../../src/execution/stage-worker.ts'
import type { Executor } from '../../src/executors/executor.ts'
import type { Rpc } from '../../src/mesh/rpc.ts'
import { openBlobStore } from '../../src/store/blobs.ts'
import { memoryPeers } from '../mesh/memory-streams.ts'
import { noFetch, testBlobs, until } from './stages.ts'

type Asks = Pick<Rpc, 'call' | 'stream'>

export interface RemoteOptions {
  readonly worker?: Partial<StageWorkerOptions>
  readonly remote?: Partial<RemoteWorkerOptions>
  /** How often the far peer says that it lives. */
  readonly pulseMs?: number
}

/** Peer `near` has stages, peer `far` runs them. */
export async function remoteStages(t: Test, options: RemoteOptions = {}) {
  const { near, far } = memoryPeers(['near', 'far'])
  const folder = t.testdir({})
  const open = (name: string) =>
    openBlobStore({ folder: join(folder, name) }, { now: Date.now, warn() {} })
  const workerBlobs = testBlobs()
  const [nearBlobs, farBlobs] = [await open('near'), await open('far')]

  /** Starts the worker there, or another one in its place. */
  async function serve(executor: Pick<Executor, 'run'>) {
    const now = () => performance.now()
    const worker = createStageWorker(
      { peerId: 'far', ...options.worker },
      { executor, blobs: workerBlobs, fetch: noFetch, now },
    )
    t.teardown(() => worker.stop())
    const { pulseMs } = options
    await serveStages(pulseMs === undefined ? {} : { pulseMs }, {
      rpc: far.rpc,
      worker,
      put: farBlobs.put,
      warn() {},
    })
    return worker
  }

  const fetch: FetchValues = async (values) => {
    for (const { blob } of values) await nearBlobs.put(await readFile(farBlobs.path(blob.hash)!))
    return { transferBytes: 0 }
  }
  const remote = (asks: Asks = near.rpc) =>
    createRemoteWorker(
      { peerId: 'far', ...options.remote },
      { rpc: async () => asks, fetch, blobs: nearBlobs },
    )

  t.teardown(async () => {
    await until(() => near.opened.every(({ status }) => status !== 'open'), 'a stream is left')
    await Promise.all([nearBlobs.stop(), farBlobs.stop()])
  })
  return {
    near,
    far,
    serve,
    remote,
    workerBlobs,
    /** Resets every stream that is open. */
    breakStreams() {
      for (const stream of near.opened) {
        if (stream.status === 'open') stream.abort(new Error('cut'))
      }
    },
  }
}
