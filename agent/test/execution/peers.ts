/**
 * A mesh in one process: peers with a worker, an executor of test nodes and blobs of their own, and
 * the job runner of the first of them. What goes wrong on each is for the test to say.
 */
import { randomUUID } from 'node:crypto'
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import { isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { StageOutcome } from '@comfymesh/protocol/stage'
import type { Prompt } from '@comfymesh/protocol/workflow'
import t, { type Test } from 'tap'
import { createJobRunner, type JobRunner } from '../../src/execution/job-runner.ts'
import { createKnownResults } from '../../src/execution/known-results.ts'
import type { FetchValues } from '../../src/execution/perform-stage.ts'
import { createPictureFiles } from '../../src/execution/picture-files.ts'
import { createStageClient } from '../../src/execution/stage-client.ts'
import type { StageReport, StageRuns } from '../../src/execution/stage-run.ts'
import { createStageWorker, type StageWorker } from '../../src/execution/stage-worker.ts'
import type { PeerOffer } from '../../src/planning/peers.ts'
import { type BlobStore, openBlobStore } from '../../src/store/blobs.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openJobStore } from '../../src/store/jobs.ts'
import { type LearnedTimesStore, openLearnedTimes } from '../../src/store/learned-times.ts'
import { openQueueState } from '../../src/store/queue-state.ts'
import { createFakeExecutor, type FakeExecutor, testDefinitions } from '../fake-executor.ts'

/** What a peer does to a stage; returning undefined lets it run. */
export type Mischief = (moment: {
  readonly phase: 'sent' | 'began' | 'node-started' | 'finished'
  readonly stageId: string
  readonly signal: AbortSignal
}) => Promise<void> | undefined

export interface TestPeer {
  readonly name: string
  readonly executor: FakeExecutor
  readonly blobs: BlobStore
  readonly worker: StageWorker
  isPresent: boolean
  mischief: Mischief
  /** What it says of an outcome instead. */
  lie: (outcome: StageOutcome) => StageOutcome
}

/** By peer, the classes that it does not have. */
export interface Lacks {
  readonly [peer: string]: readonly string[]
}

export async function startPeer(t: Test, name: string, dataDir: string): Promise<TestPeer> {
  const folder = join(dataDir, `blobs of ${name}`)
  const blobs = await openBlobStore({ folder }, { now: Date.now, warn: () => {} })
  const executor = createFakeExecutor({ valuesFolder: blobs.stagingFolder })
  const fetchOne = async ({ blob, holders }: Parameters<FetchValues>[0][number]) => {
    if (blobs.has(blob.hash)) return 0
    for (const holder of holders) {
      const from = everybody.get(holder)
      const path = from?.isPresent ? from.blobs.path(blob.hash) : undefined
      if (path === undefined) continue
      const copy = join(blobs.stagingFolder, randomUUID())
      copyFileSync(path, copy)
      await blobs.adopt(copy, blob)
      return blob.sizeBytes
    }
    const details = { hash: blob.hash, peerId: holders[0] }
    throw new MeshError('peer_unreachable', `${holders.join(', ')} cannot be reached.`, { details })
  }
  const fetch: FetchValues = async (values) => {
    const bytes = await Promise.all(values.map(fetchOne))
    return { transferBytes: bytes.reduce((sum, one) => sum + one, 0) }
  }
  const worker = createStageWorker(
    { peerId: name },
    { executor, blobs, fetch, now: () => performance.now() },
  )
  t.teardown(async () => {
    worker.stop()
    await blobs.stop()
    everybody.delete(name)
  })
  const peer: TestPeer = {
    name,
    executor,
    blobs,
    worker,
    isPresent: true,
    mischief: () => undefined,
    lie: (outcome) => outcome,
  }
  everybody.set(name, peer)
  return peer
}

/** By name, which is their id as well; a test file has one mesh at a time. */
const everybody = new Map<string, TestPeer>()

export interface TestMesh {
  readonly jobs: JobRunner
  readonly events: JobEvent[]
  readonly times: LearnedTimesStore
  stop(): Promise<void>
}

export interface TestMeshOptions {
  readonly peers: readonly TestPeer[]
  readonly lacks?: Lacks
  readonly dataDir: string
}

/** The runner of the first peer; a second one on the same folder is the same agent after a restart. */
export async function startRunner(t: Test, options: TestMeshOptions): Promise<TestMesh> {
  const { peers, lacks = {}, dataDir } = options
  const [first] = peers as [TestPeer]
  const database = await openDatabase(join(dataDir, 'data'))
  const folders = { output: join(dataDir, 'output'), temp: join(dataDir, 'temp') }
  const pictures = createPictureFiles({}, { folders })
  await pictures.prepare()
  const offerOf = ({ name, isPresent }: TestPeer): PeerOffer => ({
    advertisement: minimalAdvertisement({ peerId: name, name, version: '1' }),
    definitions: Object.fromEntries(
      Object.entries(testDefinitions).filter(([type]) => !lacks[name]?.includes(type)),
    ),
    judgedInputs: () => [],
    ...(!isPresent && { absence: 'away' }),
  })
  const times = await openLearnedTimes(database)
  const jobs = createJobRunner(
    {},
    {
      peerId: first.name,
      offers: async () => peers.map(offerOf),
      others: () => peers.slice(1).map(offerOf),
      executor: first.executor,
      results: createKnownResults({ filesExist: pictures.exist }),
      times,
      store: await openJobStore(database, (message) => t.fail(message)),
      queueState: await openQueueState(database),
      client: createStageClient({ worker: (id) => wayTo(everybody.get(id), first) }),
      pictures,
      now: Date.now,
      warn: (message, error) => t.fail(`${message}: ${error}`),
    },
  )
  const events: JobEvent[] = []
  jobs.subscribe(({ event }) => events.push(event))
  await jobs.recover()
  jobs.start()
  let isStopped = false
  const stop = async () => {
    if (isStopped) return
    isStopped = true
    await jobs.stop()
    await database.close()
  }
  t.teardown(stop)
  return { jobs, events, times, stop }
}

/** A link that breaks when the peer goes away, and passes on what it does wrong. */
function wayTo(peer: TestPeer | undefined, self: TestPeer): StageRuns | undefined {
  if (peer === undefined) return undefined
  const gone = () =>
    new MeshError('peer_unreachable', `${peer.name} does not answer.`, {
      details: { peerId: peer.name },
    })
  return {
    async run(request, options) {
      if (!peer.isPresent) throw gone()
      const stageId = request.stage.id
      const { signal } = options
      let fail: (error: unknown) => void = () => {}
      const broken = new Promise<never>((_, reject) => {
        fail = reject
      })
      broken.catch(() => {})
      const moment = (phase: Parameters<Mischief>[0]['phase']) =>
        peer.mischief({ phase, stageId, signal })
      await Promise.race([moment('sent'), broken])
      let isOver = false
      const report = (told: StageReport) => {
        if (isOver) return
        if (told.type === 'began' || told.type === 'node-started')
          moment(told.type)?.catch((error: unknown) => {
            isOver = true
            fail(error)
          })
        if (!isOver) options.report(told)
      }
      const runs = peer === self ? peer.worker.run : peer.worker.follow
      const cancel = () => {
        // A restart of the submitter ends nothing elsewhere.
        if (typeof signal.reason !== 'symbol')
          peer.worker.cancel({ stageId, attemptId: request.attemptId })
      }
      signal.addEventListener('abort', cancel)
      try {
        const outcome = await Promise.race([runs(request, { signal, report }), broken])
        await moment('finished')
        return peer.lie(outcome)
      } finally {
        isOver = true
        signal.removeEventListener('abort', cancel)
      }
    },
  }
}

export const leaves = (peer: TestPeer) => () => {
  peer.isPresent = false
  return Promise.reject(
    new MeshError('peer_unreachable', `${peer.name} does not answer.`, {
      details: { peerId: peer.name },
    }),
  )
}

export async function submit(jobs: JobRunner, prompt: Prompt, extraData = {}): Promise<string> {
  const result = await jobs.submit({ prompt: prompt as never, extraData })
  if (!result.accepted) throw new Error(JSON.stringify(result))
  return result.job.request.id
}

/** The state of a job as soon as it fits; by default when it has ended. */
export function reached(
  jobs: JobRunner,
  id: string,
  fits: (state: JobState) => boolean = isFinished,
): Promise<JobState> {
  return new Promise((resolve) => {
    const unsubscribe = jobs.subscribe(({ state }) => check(state))
    const check = (state: JobState | undefined) => {
      if (state === undefined || state.request.id !== id || !fits(state)) return
      unsubscribe()
      resolve(state)
    }
    void jobs.job(id).then(check)
  })
}

const node = (class_type: string, inputs: object) => ({ class_type, inputs }) as Prompt[string]

/** Pixels, made brighter, shown: parts that peers can be given one by one. */
export function picturePrompt(seed = 1): Prompt {
  return {
    1: node('TN_Pixels', { seed, batch: 1, side: 8 }),
    2: node('TN_Brighten', { images: ['1', 0], by: 0.25 }),
    3: node('TN_Show', { images: ['2', 0] }),
  }
}

/** Two branches that need nothing of each other, and what is made of both. */
export function branchedPrompt(seed = 1): Prompt {
  return {
    1: node('TN_Int', { value: seed }),
    2: node('TN_Steps', { x: ['1', 0], steps: 2, ms: 1, preview: false }),
    3: node('TN_Seed', { seed }),
    4: node('TN_Add', { a: ['2', 0], b: ['3', 0] }),
    5: node('TN_Out', { x: ['4', 0] }),
  }
}

/** b brightens, c or d too; a does the rest. */
export const split: Lacks = {
  a: ['TN_Brighten'],
  b: ['TN_Pixels', 'TN_Show'],
  c: ['TN_Pixels', 'TN_Show'],
}

const folder = t.testdir()
let meshes = 0

export async function mesh(
  t: Test,
  names: readonly string[] = ['a', 'b', 'c'],
  lacks: Lacks = split,
) {
  const dataDir = join(folder, String(meshes++))
  const all = await Promise.all(names.map((name) => startPeer(t, name, dataDir)))
  const runner = await startRunner(t, { peers: all, lacks, dataDir })
  const peers: { [name: string]: TestPeer } = Object.fromEntries(
    all.map((peer) => [peer.name, peer]),
  )
  return { ...runner, peers, all, dataDir }
}

/** What the saved pictures hold, after the texts that carry the prompt. */
export const pixels = (dataDir: string) =>
  readdirSync(join(dataDir, 'output')).map((name) =>
    readFileSync(join(dataDir, 'output', name))
      .subarray(-60)
      .toString('hex'),
  )

/** Fails with this code. */
export const broken = (code: ErrorCode, message: string) => () =>
  Promise.reject(new MeshError(code, message, {}))

let usualPixels: string | undefined
/** What one machine makes of the prompt. */
export async function usual(t: Test): Promise<string> {
  if (usualPixels !== undefined) return usualPixels
  const { jobs, dataDir } = await mesh(t, ['solo'], {})
  await reached(jobs, await submit(jobs, picturePrompt()))
  usualPixels = pixels(dataDir)[0]!
  return usualPixels
}
