/**
 * Tells the mesh what this machine offers, whenever it changes: devices, nodes, models, queue,
 * learned times. What is large becomes a document under its digest.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { JsonValue } from '@comfymesh/protocol/json'
import { advertisedTimes } from '../planning/advertised-times.ts'
import type { LearnedTimesStore } from '../store/learned-times.ts'
import type { JobRunner } from './job-runner.ts'
import type { LocalPeer } from './local-peer.ts'
import type { StageWorker } from './stage-worker.ts'
import type { Surveyor } from './survey.ts'

export interface AdvertiserModules {
  readonly localPeer: Pick<LocalPeer, 'peerId' | 'advertisement'>
  readonly surveyor: Pick<Surveyor, 'current' | 'onChange' | 'stir'>
  readonly jobs: Pick<JobRunner, 'running' | 'pending' | 'subscribe'>
  readonly stages: Pick<StageWorker, 'busyMs' | 'onChange'>
  readonly times: Pick<LearnedTimesStore, 'current'>
  /** Offers a document. @returns its digest. */
  readonly offer: (document: JsonValue) => string
  /** Withdraws all documents but these. */
  readonly keepOffered: (digests: readonly string[]) => void
  readonly advertise: (advertisement: Advertisement) => void
  readonly now: () => number
}

export interface Advertiser {
  /** Says at once what is known at once, and the rest as it is found out. */
  start(): void
  /** Something else that it tells has changed. */
  changed(): void
  stop(): void
}

/** Jobs begin and end in bursts. */
const GATHER_MS = 250
/** Whoever heard how long this machine is busy counts down by itself; less than this is no news. */
const NOTICEABLE_BUSY_MS = 1000

export function createAdvertiser(modules: AdvertiserModules): Advertiser {
  const { localPeer, surveyor, jobs, stages, times, now } = modules
  /** Documents of this survey and of the one before, which a peer may be fetching. */
  let digests: readonly string[] = []
  let said: Advertisement | undefined
  let saidAtMs = 0
  let gathering: NodeJS.Timeout | undefined
  const ends: (() => void)[] = []

  /** What was said of the queue passes by itself for whoever heard it. */
  function isNews(next: Advertisement): boolean {
    if (said === undefined) return true
    const { busyMs: saidMs = 0 } = said.queue
    const { busyMs: nextMs = 0 } = next.queue
    const passedMs = Math.max(0, saidMs - (now() - saidAtMs))
    if (Math.abs(nextMs - passedMs) >= NOTICEABLE_BUSY_MS) return true
    const queue = { ...next.queue, busyMs: saidMs }
    return !isDeepStrictEqual(said, { ...next, queue })
  }

  function say(): void {
    const { peerId } = localPeer
    const { catalog = [] } = surveyor.current().models ?? {}
    const advertisement: Advertisement = {
      ...localPeer.advertisement(),
      queue: {
        running: jobs.running().length,
        waiting: jobs.pending().filter(({ status }) => status === 'queued').length,
        busyMs: Math.round(stages.busyMs()),
      },
      times: advertisedTimes(times.current(), peerId, catalog),
    }
    if (!isNews(advertisement)) return
    said = advertisement
    saidAtMs = now()
    modules.advertise(advertisement)
  }

  function saySoon(): void {
    gathering ??= setTimeout(() => {
      gathering = undefined
      say()
    }, GATHER_MS)
  }

  /** What it names must be there to be fetched when it is said. */
  function offerDocuments(): void {
    const { documents, models } = surveyor.current()
    const offered = [
      ...documents,
      ...(models === undefined ? [] : [models.catalog as unknown as JsonValue]),
    ]
    const now = offered.map((document) => modules.offer(document))
    modules.keepOffered([...digests, ...now])
    digests = now
    say()
  }

  return {
    start() {
      const unsubscribe = jobs.subscribe(({ event }) => {
        if (event.type === 'node-progress') return
        surveyor.stir()
        saySoon()
      })
      ends.push(unsubscribe, surveyor.onChange(offerDocuments), stages.onChange(saySoon))
      offerDocuments()
    },
    changed: saySoon,
    stop() {
      for (const end of ends.splice(0)) end()
      clearTimeout(gathering)
    },
  }
}
