/** Runs stages for other peers: what the stage worker tells becomes messages on their streams. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageMessage, StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import type { Blob } from '@comfymesh/protocol/value'
import { protocols } from '../mesh/protocols.ts'
import type { Asking, Rpc } from '../mesh/rpc.ts'
import { stageKey } from '../planning/signature.ts'
import { createOutbox } from './outbox.ts'
import type { StageReport } from './stage-run.ts'
import type { StageWorker } from './stage-worker.ts'
import { wirePictures, wirePreview } from './wire-pictures.ts'

export interface StageServiceModules {
  readonly rpc: Pick<Rpc, 'handle'>
  readonly worker: Pick<StageWorker, 'follow' | 'cancel' | 'keep'>
  /** Keeps bytes for whoever fetches them (store/blobs.ts). */
  readonly put: (bytes: Uint8Array) => Promise<Blob>
  readonly warn: (message: string, error?: unknown) => void
}

/** How often a peer whose stage takes long hears that it goes on. */
const STAGE_PULSE_MS = 2000

/** What a stage tells, and how it ends. */
type Told =
  | StageReport
  | { readonly type: 'finished'; readonly outcome: StageOutcome }
  | { readonly type: 'failed'; readonly error: MeshError }

/** Answers from now on. */
export async function serveStages(
  options: { readonly pulseMs?: number },
  modules: StageServiceModules,
): Promise<void> {
  const { rpc, worker, warn } = modules
  const pulseMs = options.pulseMs ?? STAGE_PULSE_MS

  /** For a peer that fetches them when it comes to it, or after it lost its word. */
  async function put(bytes: Uint8Array): Promise<Blob> {
    const blob = await modules.put(bytes)
    worker.keep([blob.hash])
    return blob
  }

  async function* answer(
    request: StageRequest,
    { peerId, signal }: Asking,
  ): AsyncGenerator<StageMessage> {
    checkId(request.stage)
    const outbox = createOutbox<Told>((last, next) => isStep(last) && isStep(next))
    const attemptId = ownAttempt(peerId, request.attemptId)
    const run = worker.follow({ ...request, attemptId }, { signal, report: outbox.put })
    void run.then(
      (outcome) => outbox.put({ type: 'finished', outcome }),
      (thrown) => outbox.put({ type: 'failed', error: MeshError.from(thrown) }),
    )
    for (;;) {
      const told = await outbox.next(pulseMs)
      yield told === undefined ? { type: 'alive' } : await messageOf(told, { put, warn })
      if (told?.type === 'finished' || told?.type === 'failed') return
    }
  }

  await rpc.handle(protocols.stage, answer)
  await rpc.handle(protocols.stageCancel, ({ stageId, attemptId }, { peerId }) => {
    worker.cancel({ stageId, attemptId: ownAttempt(peerId, attemptId) })
    return {}
  })
}

/** Else it would be taken for another stage, and its results for that one's. */
function checkId({ id, nodes, outputs, index }: StageRequest['stage']): void {
  const ownId = stageKey(nodes, outputs, index)
  if (id === ownId) return
  const message = `Stage ${id} was refused: it is not the id of its nodes and outputs, which is ${ownId}. Bring both machines to the same release.`
  throw new MeshError('peer_incompatible', message)
}

/** Nobody cancels the attempts of others. */
function ownAttempt(peerId: string, attemptId: string): string {
  return `${peerId} ${attemptId}`
}

function isStep(told: Told): boolean {
  return told.type === 'node-progress'
}

async function messageOf(
  told: Told,
  { put, warn }: Pick<StageServiceModules, 'put' | 'warn'>,
): Promise<StageMessage> {
  switch (told.type) {
    case 'node-progress': {
      const { preview, ...step } = told
      const sent = preview === undefined ? undefined : wirePreview(preview)
      return { ...step, ...(sent !== undefined && { preview: sent }) }
    }
    case 'node-finished': {
      const { pictures, ...node } = told
      return pictures === undefined
        ? node
        : { ...node, pictures: await wirePictures(pictures, put) }
    }
    case 'failed':
      if (told.error.code === 'internal') warn('A stage of another peer failed', told.error)
      return { type: 'failed', error: told.error.toReport() }
    default:
      return told
  }
}
