/** What everybody who runs stages keeps to, on this machine or another. */
import { randomBytes } from 'node:crypto'
import { MeshError } from '@comfymesh/protocol/errors'
import type { Test } from 'tap'
import { insertPngText } from '../../src/base/png-text.ts'
import type { StageRuns } from '../../src/execution/stage-run.ts'
import type { StageWorkerOptions } from '../../src/execution/stage-worker.ts'
import type { Executor, SavedPicture, StageEvent } from '../../src/executors/executor.ts'
import { tinyPng } from '../fake-executor.ts'
import {
  following,
  manualExecutor,
  nodeFinished,
  nodeStarted,
  stageOf,
  stageRequest,
  step,
} from './stages.ts'

export interface SuiteSubject {
  readonly runs: StageRuns
  /** Whose values they are. */
  readonly peerId: string
}

/** @param make a worker around an executor, gone with the test. */
export function testStageRuns(
  t: Test,
  make: (
    t: Test,
    executor: Pick<Executor, 'run'>,
    options: Partial<StageWorkerOptions>,
  ) => Promise<SuiteSubject>,
): void {
  async function manual(t: Test, options: Partial<StageWorkerOptions> = {}) {
    const { executor, began } = manualExecutor()
    return { began, ...(await make(t, executor, options)) }
  }
  const before = [{ type: 'admitted' }, { type: 'began' }]

  t.test('a stage from its admission to its outcome', async (t) => {
    const { runs, began, peerId } = await manual(t)
    const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
    const request = stageRequest('a', { stage: stageOf('a', outputs) })
    const follower = following()
    const run = runs.run(request, follower)
    const { stage, options, end } = await began(0)
    t.strictSame(stage.nodes, request.stage.nodes)
    t.equal(stage.jobId, 'j')
    const events = [nodeStarted, step, { ...nodeFinished, ui: { text: ['7'] } }]
    for (const event of events) options.report(event as StageEvent)
    const value = {
      ...outputs[0]!,
      tensors: [{ name: 'samples', dtype: 'F32' as const, shape: [1, 4, 8, 8] }],
      blob: { hash: 'a'.repeat(64), sizeBytes: 1100 },
    }
    end({
      values: [{ ...value, path: '/made', digests: Buffer.alloc(32) }],
      provider: 'cpu',
      sessionMs: 12,
    })
    const outcome = await run
    t.match(outcome, { provider: 'cpu', sessionMs: 12, transferBytes: 0 })
    t.strictSame(outcome.values, [{ ...value, holders: [peerId] }])
    t.strictSame(follower.reports, [...before, ...events])
  })

  t.test('the same stage twice is run once and both are told', async (t) => {
    const { runs, began } = await manual(t)
    const [early, late] = [following(), following()]
    const first = runs.run(stageRequest('a', { attemptId: '1' }), early)
    const { options, end } = await began(0)
    options.report(nodeStarted as StageEvent)
    const second = runs.run(stageRequest('a', { attemptId: '2' }), late)
    await late.heard(3)
    options.report(nodeFinished as StageEvent)
    end()
    t.strictSame((await first).values, (await second).values)
    t.strictSame(early.reports, [...before, nodeStarted, nodeFinished])
    t.strictSame(late.reports, early.reports)
  })

  t.test('pictures arrive byte for byte, also large ones', async (t) => {
    const { runs, began } = await manual(t)
    const large = insertPngText(tinyPng(), [['x', randomBytes(700_000).toString('base64')]])
    const picture = (bytes: Uint8Array, batchIndex: number): SavedPicture => ({
      bytes,
      mediaType: 'image/png',
      width: 1,
      height: 1,
      folder: 'output',
      filenamePrefix: 'a/%date%',
      batchIndex,
    })
    const follower = following()
    const run = runs.run(stageRequest('a'), follower)
    const { options, end } = await began(0)
    options.report(nodeStarted as StageEvent)
    const pictures = [picture(tinyPng(), 0), picture(large, 1), picture(tinyPng(), 2)]
    options.report({ ...nodeFinished, pictures } as StageEvent)
    end()
    await run
    const last = follower.reports.at(-1)!
    const received = last.type === 'node-finished' ? last.pictures! : []
    t.equal(received.length, 3)
    for (const [index, { bytes, ...rest }] of received.entries()) {
      const { bytes: sent, ...expected } = pictures[index]!
      t.ok(Buffer.from(sent).equals(bytes), `picture ${index}`)
      t.strictSame(rest, expected)
    }
  })

  t.test('what a node warns of arrives with its end', async (t) => {
    const { runs, began } = await manual(t)
    const follower = following()
    const run = runs.run(stageRequest('a'), follower)
    const { options, end } = await began(0)
    options.report(nodeStarted as StageEvent)
    options.report({ ...nodeFinished, warnings: ['half of it is ignored'] } as StageEvent)
    end()
    await run
    t.strictSame(follower.reports.at(-1), { ...nodeFinished, warnings: ['half of it is ignored'] })
  })

  t.test('previews for those who want them', async (t) => {
    for (const previews of [true, false]) {
      const { runs, began } = await manual(t)
      const follower = following()
      const run = runs.run(stageRequest('a', { previews }), follower)
      const { options, end } = await began(0)
      const preview = { bytes: tinyPng(), mediaType: 'image/png', width: 1, height: 1 } as const
      options.report(nodeStarted as StageEvent)
      options.report({ ...step, preview } as StageEvent)
      end()
      await run
      const told = follower.reports.at(-1)!
      t.match(told, step)
      t.equal(told.type === 'node-progress' && told.preview !== undefined, previews)
    }
  })

  t.test('what went wrong arrives as it was said', async (t) => {
    const { runs, began } = await manual(t)
    const run = runs.run(stageRequest('a'), following())
    const details = { nodeId: '1', classType: 'TN_Int' }
    ;(await began(0)).fail(new MeshError('node_failed', 'The latent is empty.', { details }))
    await t.rejects(run, { code: 'node_failed', message: 'The latent is empty.', details })
  })

  t.test('a full queue is busy for a while', async (t) => {
    const { runs, began } = await manual(t, { queueLimit: 1 })
    const first = runs.run(stageRequest('a'), following())
    const { end } = await began(0)
    const refused = await runs.run(stageRequest('b'), following()).catch((error) => error)
    t.equal(refused.code, 'busy')
    t.ok(refused.details.retryAfterMs > 0)
    end()
    await first
    const second = runs.run(stageRequest('b'), following())
    ;(await began(1)).end()
    t.match(await second, { values: [] }, 'the attempt that was refused is welcome later')
  })

  t.test('who cancels is gone at once, and so is the stage', async (t) => {
    const { runs, began } = await manual(t)
    const follower = following()
    const run = runs.run(stageRequest('a'), follower)
    const { options } = await began(0)
    await follower.heard(2)
    follower.controller.abort()
    await t.rejects(run, { code: 'interrupted' })
    const heard = follower.reports.length
    await untilAborted(options.signal)
    options.report(nodeStarted as StageEvent)
    t.equal(follower.reports.length, heard)
    await t.rejects(runs.run(stageRequest('b'), follower), { code: 'interrupted' })
  })

  t.test('who cancels does not cancel for others', async (t) => {
    const { runs, began } = await manual(t)
    const [one, other] = [following(), following()]
    const first = runs.run(stageRequest('a', { attemptId: '1' }), one)
    const second = runs.run(stageRequest('a', { attemptId: '2' }), other)
    const { options, end } = await began(0)
    await other.heard(2)
    one.controller.abort()
    await t.rejects(first, { code: 'interrupted' })
    options.report(nodeStarted as StageEvent)
    await other.heard(3)
    t.notOk(options.signal.aborted)
    end()
    t.match(await second, { values: [] })
  })
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
