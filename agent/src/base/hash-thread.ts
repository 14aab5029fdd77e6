/**
 * Hashes large bytes in a thread of its own, without copying them there: Web Crypto's digest copies
 * its input, which takes the event loop as long as receiving it.
 */
import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'

/** Memory that both share comes, its digest goes back. A module of its own would need its loader there too. */
const THREAD = `
const { createHash } = require('node:crypto')
const { parentPort } = require('node:worker_threads')
parentPort.on('message', (bytes) => parentPort.postMessage(createHash('sha256').update(bytes).digest()))
`

export interface HashThread {
  /** @param bytes of `sharedRoom`; must not change until it is done. */
  sha256(bytes: Uint8Array): Promise<Buffer>
}

/** Below this the thread takes longer to ask than the hash to compute, half a millisecond. */
const SMALL_BYTES = 512 * 1024
/** It takes some 5 MB of memory, so it ends when nobody needed it for so long. */
const IDLE_MS = 10_000

/** Memory that a thread can read in place. */
export function sharedRoom(sizeBytes: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(sizeBytes))
}

interface Waiting {
  readonly resolve: (digest: Buffer) => void
  readonly reject: (error: Error) => void
}

/** Starts with the first bytes, and does not keep the process alive. */
export function createHashThread(): HashThread {
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined
  const waiting: Waiting[] = []

  function end(error: Error): void {
    worker = undefined
    for (const { reject } of waiting.splice(0)) reject(error)
  }

  function start(): Worker {
    const started = new Worker(THREAD, { eval: true, execArgv: [] })
    started.on('message', (digest: Uint8Array) => {
      waiting.shift()!.resolve(Buffer.from(digest))
      if (waiting.length > 0) return
      started.unref()
      idle = setTimeout(() => {
        worker = undefined
        void started.terminate()
      }, IDLE_MS).unref()
    })
    started.on('error', end)
    return started
  }

  return {
    async sha256(bytes) {
      if (bytes.length < SMALL_BYTES) return createHash('sha256').update(bytes).digest()
      return new Promise((resolve, reject) => {
        clearTimeout(idle)
        waiting.push({ resolve, reject })
        worker ??= start()
        worker.ref()
        worker.postMessage(bytes)
      })
    },
  }
}
