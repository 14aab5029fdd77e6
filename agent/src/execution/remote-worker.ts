/**
 * A stage worker on another peer, as this agent's jobs see it: the stage goes out on one stream,
 * a break of the connection is bridged, a peer that falls silent is given up.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageMessage, StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import { protocols } from '../mesh/protocols.ts'
import { incompatible, type Rpc } from '../mesh/rpc.ts'
import {
  AGENT_STOPS,
  cancelled,
  type StageReport,
  type StageRunOptions,
  type StageRuns,
} from './stage-run.ts'
import { createStageTestimony, type StageTestimony } from './stage-testimony.ts'
import { type ReceivePictureModules, receivedPicture, receivedPictures } from './wire-pictures.ts'

export interface RemoteWorkerOptions {
  readonly peerId: string
  /** How long a peer may say nothing, not even that it lives. */
  readonly silenceMs?: number
  /** How long a broken connection may take to come back. */
  readonly reattachMs?: number
}

export interface RemoteWorkerModules extends ReceivePictureModules {
  /** @throws MeshError `mesh_unavailable` */
  readonly rpc: () => Promise<Pick<Rpc, 'call' | 'stream'>>
}

/** A peer that vanishes is to be noticed within 6 s; it gives a sign of life every 2 s. */
const SILENCE_MS = 5500
/** Peers that lost each other try again every second. */
const REATTACH_MS = 3000
const AGAIN_MS = 250
const LOOKS_PER_SILENCE = 11

/** How a peer says that a stage ended, as opposed to a stream that broke. */
type Ending = { readonly outcome: StageOutcome } | { readonly error: MeshError }

export function createRemoteWorker(
  options: RemoteWorkerOptions,
  modules: RemoteWorkerModules,
): StageRuns {
  const { peerId, silenceMs = SILENCE_MS, reattachMs = REATTACH_MS } = options

  async function cancel({ stage, attemptId }: StageRequest): Promise<void> {
    const rpc = await modules.rpc()
    await rpc.call(peerId, protocols.stageCancel, { stageId: stage.id, attemptId })
  }

  async function follow(
    request: StageRequest,
    runOptions: StageRunOptions,
    testimony: StageTestimony,
    silence: Silence,
  ): Promise<Ending> {
    const rpc = await modules.rpc()
    const isNew = testimony.begin()
    const signal = AbortSignal.any([runOptions.signal, silence.signal])
    let ending: Ending | undefined
    for await (const message of rpc.stream(peerId, protocols.stage, request, { signal })) {
      silence.heard()
      if (ending !== undefined) throw wrong(request, 'it goes on after the end')
      if (message.type === 'alive') continue
      if (message.type === 'failed') {
        ending = { error: toldError(MeshError.fromWire(message.error), peerId) }
        continue
      }
      if (!isNew(message)) continue
      if (message.type === 'finished') {
        ending = { outcome: testimony.outcome(message.outcome) }
        continue
      }
      // The bytes of pictures come another way, which has its own patience.
      silence.pause()
      const report = await reportOf(message, peerId, signal, modules)
      signal.throwIfAborted()
      runOptions.report(report)
      testimony.took(message)
      silence.heard()
    }
    if (ending === undefined) throw wrong(request, 'it ended without an outcome')
    return ending
  }

  const wrong = ({ stage }: StageRequest, why: string) =>
    incompatible(peerId, `stage ${stage.id}`, why)

  /** Follows the stage to its end, over as many streams as it takes. */
  async function followToEnd(
    request: StageRequest,
    runOptions: StageRunOptions,
    silence: Silence,
  ): Promise<Ending> {
    const testimony = createStageTestimony(peerId, request)
    let brokenAtMs: number | undefined
    for (;;) {
      const heardBefore = silence.heardCount()
      try {
        return await follow(request, runOptions, testimony, silence)
      } catch (thrown) {
        const error = MeshError.from(thrown)
        if (runOptions.signal.aborted) throw cancelled()
        if (silence.signal.aborted) throw silent(peerId, silenceMs)
        if (error.code !== 'peer_unreachable') throw error
        if (brokenAtMs === undefined || silence.heardCount() > heardBefore) {
          brokenAtMs = performance.now()
        }
        if (performance.now() - brokenAtMs > reattachMs) throw error
      }
      await sleep(AGAIN_MS, undefined, { signal: runOptions.signal }).catch(() => {})
    }
  }

  return {
    async run(request, runOptions) {
      const { signal } = runOptions
      if (signal.aborted) throw cancelled()
      const silence = watchSilence(silenceMs)
      let ending: Ending
      try {
        ending = await followToEnd(request, runOptions, silence)
      } catch (error) {
        // Who was told to come back has begun nothing; who stops comes back after its restart.
        const isOver = MeshError.from(error).code !== 'busy' && signal.reason !== AGENT_STOPS
        // Should it not arrive, the peer gives up by itself after a minute.
        if (isOver) cancel(request).catch(() => {})
        throw error
      } finally {
        silence.stop()
      }
      if ('error' in ending) throw ending.error
      return ending.outcome
    },
  }
}

interface Silence {
  /** Aborts when nothing was heard for too long. */
  readonly signal: AbortSignal
  heard(): void
  heardCount(): number
  /** Until something is heard, nothing is expected. */
  pause(): void
  stop(): void
}

/** Counts looks, not time: a process that was itself held up has not listened meanwhile. */
function watchSilence(silenceMs: number): Silence {
  const controller = new AbortController()
  let looks = 0
  let count = 0
  let isPaused = false
  const timer = setInterval(() => {
    if (!isPaused && ++looks >= LOOKS_PER_SILENCE) controller.abort()
  }, silenceMs / LOOKS_PER_SILENCE)
  return {
    signal: controller.signal,
    heard() {
      looks = 0
      count++
      isPaused = false
    },
    heardCount: () => count,
    pause() {
      isPaused = true
    },
    stop: () => clearInterval(timer),
  }
}

type Reported = Exclude<StageMessage, { type: 'alive' | 'finished' | 'failed' }>

async function reportOf(
  message: Reported,
  peerId: string,
  signal: AbortSignal,
  modules: ReceivePictureModules,
): Promise<StageReport> {
  if (message.type === 'node-progress') {
    const { preview, ...step } = message
    if (preview === undefined) return step
    return { ...step, preview: await receivedPicture(preview, peerId, signal, modules) }
  }
  if (message.type !== 'node-finished') return message
  const { pictures, ui, warnings, ...node } = message
  return {
    ...node,
    ...(ui !== undefined && { ui }),
    ...(warnings !== undefined && { warnings }),
    ...(pictures !== undefined && {
      pictures: await receivedPictures(pictures, peerId, signal, modules),
    }),
  }
}

/** What the peer says went wrong. That it was cancelled there is no wish of anybody here. */
function toldError({ code, message, details }: MeshError, peerId: string): MeshError {
  const named = { details: { peerId, ...details } }
  if (code !== 'interrupted') return new MeshError(code, message, named)
  return new MeshError('peer_unreachable', `Peer ${peerId} stopped the stage: ${message}`, named)
}

function silent(peerId: string, silenceMs: number): MeshError {
  const message = `Peer ${peerId} cannot be reached: nothing was heard of it for ${Math.round(silenceMs / 1000)} s. Check that its agent runs and that the network is up.`
  return new MeshError('peer_unreachable', message, { details: { peerId } })
}
