/** Stages on another peer: what holds on this machine holds there, and what only a network does. */
import { randomBytes } from 'node:crypto'
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageMessage } from '@comfymesh/protocol/stage'
import t from 'tap'
import { insertPngText } from '../../src/base/png-text.ts'
import { AGENT_STOPS } from '../../src/execution/stage-run.ts'
import type { Executor, StageEvent } from '../../src/executors/executor.ts'
import { protocols } from '../../src/mesh/protocols.ts'
import type { Rpc } from '../../src/mesh/rpc.ts'
import { tinyPng } from '../fake-executor.ts'
import { remoteStages } from './remote-stages.ts'
import { testStageRuns } from './stage-suite.ts'
import {
  following,
  manualExecutor,
  nodeFinished,
  nodeStarted,
  stageOf,
  stageRequest,
  step,
  until,
} from './stages.ts'

testStageRuns(t, async (t, executor, options) => {
  const { serve, remote } = await remoteStages(t, { worker: options })
  await serve(executor)
  return { runs: remote(), peerId: 'far' }
})

const before = [{ type: 'admitted' }, { type: 'began' }] as const

/** Runs one node with two steps, a turn of the event loop apart. */
const steady: Pick<Executor, 'run'> = {
  async run(_, { report }) {
    for (const event of [nodeStarted, step, step, nodeFinished] as StageEvent[]) {
      report(event)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    return { sessionMs: 3, values: [] }
  },
}

t.test('a stream that is reset at any message is taken up again', async (t) => {
  for (let at = 1; at <= 7; at++) {
    const { near, serve, remote } = await remoteStages(t)
    await serve(steady)
    let count = 0
    const stream: Rpc['stream'] = async function* (...asked) {
      for await (const message of near.rpc.stream(...asked)) {
        yield message
        if (++count === at) near.lastStream().abort(new Error('cut'))
      }
    }
    const follower = following()
    const outcome = await remote({ call: near.rpc.call, stream }).run(stageRequest('a'), follower)
    t.match(outcome, { sessionMs: 3 }, `after message ${at}`)
    const lasting = follower.reports.filter(({ type }) => type !== 'node-progress')
    t.strictSame(lasting, [...before, nodeStarted, nodeFinished], 'nothing is told twice')
  }
})

t.test('a peer that is away for a moment', async (t) => {
  const { far, serve, remote, breakStreams } = await remoteStages(t)
  const { executor, began, runs } = manualExecutor()
  await serve(executor)
  const follower = following()
  const run = remote().run(stageRequest('a'), follower)
  const { options, end } = await began(0)
  await follower.heard(2)
  far.isCutOff = true
  breakStreams()
  options.report(nodeStarted as StageEvent)
  await new Promise((resolve) => setTimeout(resolve, 300))
  far.isCutOff = false
  await follower.heard(3)
  options.report(nodeFinished as StageEvent)
  end()
  await run
  t.strictSame(follower.reports, [...before, nodeStarted, nodeFinished])
  t.equal(runs.length, 1)
})

t.test('a peer that was started anew runs it anew', async (t) => {
  const { serve, remote, breakStreams } = await remoteStages(t)
  const old = manualExecutor()
  const oldWorker = await serve(old.executor)
  const follower = following()
  const run = remote().run(stageRequest('a'), follower)
  ;(await old.began(0)).options.report(nodeStarted as StageEvent)
  await follower.heard(3)
  await serve(steady)
  breakStreams()
  oldWorker.stop()
  t.match(await run, { sessionMs: 3 })
  const lasting = follower.reports.filter(({ type }) => type !== 'node-progress')
  t.strictSame(lasting, [...before, nodeStarted, nodeFinished])
})

t.test('a peer that vanishes', async (t) => {
  const { far, serve, remote, breakStreams } = await remoteStages(t, {
    remote: { reattachMs: 100 },
    worker: { abandonedAfterMs: 5 },
  })
  const { executor, began } = manualExecutor()
  await serve(executor)
  const follower = following()
  const run = remote().run(stageRequest('a'), follower)
  const { options } = await began(0)
  far.isCutOff = true
  breakStreams()
  await t.rejects(run, { code: 'peer_unreachable', details: { peerId: 'far' } })
  await until(() => options.signal.aborted, 'the far side goes on for nobody')
})

t.test('a peer that falls silent, and one that only has much to do', async (t) => {
  const frozen = await remoteStages(t, { pulseMs: 60_000, remote: { silenceMs: 50 } })
  const { executor } = manualExecutor()
  await frozen.serve(executor)
  const run = frozen.remote().run(stageRequest('a'), following())
  await t.rejects(run, { code: 'peer_unreachable', message: /nothing was heard/ })

  const slow = await remoteStages(t, { pulseMs: 5, remote: { silenceMs: 250 } })
  const manual = manualExecutor()
  await slow.serve(manual.executor)
  const slowly = slow.remote().run(stageRequest('a'), following())
  const { end } = await manual.began(0)
  await new Promise((resolve) => setTimeout(resolve, 600))
  end()
  t.match(await slowly, { values: [] })
})

t.test('a peer that stops the stage by itself is one to do without', async (t) => {
  const { serve, remote } = await remoteStages(t)
  const { executor, began } = manualExecutor()
  const worker = await serve(executor)
  const run = remote().run(stageRequest('a'), following())
  await began(0)
  worker.stop()
  await t.rejects(run, { code: 'peer_unreachable', message: /stopped the stage/ })
})

t.test('an agent that stops leaves the stage to its return', async (t) => {
  const { serve, remote } = await remoteStages(t)
  const { executor, began, runs } = manualExecutor()
  await serve(executor)
  const first = following()
  const run = remote().run(stageRequest('a', { attemptId: 'before' }), first)
  const { options, end } = await began(0)
  first.controller.abort(AGENT_STOPS)
  await t.rejects(run, { code: 'interrupted' })
  options.report(nodeStarted as StageEvent)
  const second = following()
  const again = remote().run(stageRequest('a', { attemptId: 'after' }), second)
  await second.heard(3)
  t.notOk(options.signal.aborted)
  end()
  await again
  t.equal(runs.length, 1)
  const third = following()
  await remote().run(stageRequest('a', { attemptId: 'later' }), third)
  t.strictSame(third.reports, [...before, nodeStarted], 'also after its end')
})

t.test('nobody cancels the stages of another peer', async (t) => {
  const { near, far, serve, remote } = await remoteStages(t)
  const { executor, began } = manualExecutor()
  const worker = await serve(executor)
  const run = remote().run(stageRequest('a', { attemptId: 'mine' }), following())
  const { options, end } = await began(0)
  worker.cancel({ stageId: stageOf('a').id, attemptId: 'mine' })
  const attempt = { stageId: stageOf('a').id, attemptId: 'theirs' }
  t.strictSame(await near.rpc.call('far', protocols.stageCancel, attempt), {})
  t.notOk(options.signal.aborted)
  end()
  await run
  t.strictSame(far.warnings, [])
})

t.test('large pictures are held for whoever fetches them', async (t) => {
  const { serve, remote, workerBlobs } = await remoteStages(t)
  const bytes = insertPngText(tinyPng(), [['x', randomBytes(700_000).toString('base64')]])
  const size = { mediaType: 'image/png', width: 1, height: 1 } as const
  const place = { folder: 'output', filenamePrefix: 'a', batchIndex: 0 } as const
  const worker = await serve({
    async run(_, { report }) {
      report(nodeStarted as StageEvent)
      report({ ...nodeFinished, pictures: [{ bytes, ...size, ...place }] } as StageEvent)
      return { sessionMs: 3, values: [] }
    },
  })
  await remote().run(stageRequest('a'), following())
  t.strictSame([...workerBlobs.held.values()], [1])
  worker.stop()
  t.strictSame([...workerBlobs.held.values()], [0])
})

t.test('a stage under the id of another one', async (t) => {
  const { serve, remote } = await remoteStages(t)
  const { executor, runs } = manualExecutor()
  await serve(executor)
  const stage = { ...stageOf('a'), id: stageOf('b').id }
  const run = remote().run(stageRequest('a', { stage }), following())
  await t.rejects(run, { code: 'peer_incompatible', message: /not the id/ })
  t.equal(runs.length, 0)
})

t.test('an agent that knows no stages', async (t) => {
  const { remote } = await remoteStages(t)
  const run = remote().run(stageRequest('a'), following())
  await t.rejects(run, { code: 'peer_incompatible', message: /stage\/1.*0\.0\.1 there/ })
})

t.test('a failure that the peer tells of is no broken connection', async (t) => {
  const { near, serve, remote } = await remoteStages(t)
  const details = { peerId: 'a holder' }
  await serve({
    run: async () => {
      throw new MeshError('peer_unreachable', 'A holder is away.', { details })
    },
  })
  const run = remote().run(stageRequest('a'), following())
  await t.rejects(run, { code: 'peer_unreachable', message: 'A holder is away.', details })
  t.equal(near.opened.length, 1)
})

const outputs = [{ nodeId: '1', slot: 0, type: 'LATENT' }]
const value = {
  ...outputs[0]!,
  tensors: [{ name: 'samples', dtype: 'F32' as const, shape: [1, 4, 8, 8] }],
  blob: { hash: 'a'.repeat(64), sizeBytes: 1100 },
  holders: ['far'],
}
const finished = (values: readonly object[]) => ({
  type: 'finished',
  outcome: {
    values,
    sessionMs: 0,
    waitMs: 0,
    transferMs: 0,
    transferBytes: 0,
    computeMs: 0,
  },
})
const honest = [...before, nodeStarted, nodeFinished, finished([value])]
const preview = {
  data: { base64: Buffer.from('<script>').toString('base64') },
  mediaType: 'image/png',
  width: 1,
  height: 1,
}
const largest = {
  ...preview,
  data: { blob: { ...value.blob, sizeBytes: 2 ** 30 } },
  folder: 'output',
  filenamePrefix: 'a',
  batchIndex: 0,
}

/** What a peer tells, the code that it is answered with, and what the message names. */
const lies: readonly (readonly [what: string, told: readonly object[], code: string, RegExp])[] = [
  ['no admission', honest.slice(1), 'peer_incompatible', /before it admitted/],
  ['two admissions', [before[0], before[0]], 'peer_incompatible', /twice/],
  ['a node before it began', [before[0], nodeStarted], 'peer_incompatible', /before it began/],
  [
    'a node of others',
    [...before, { ...nodeStarted, nodeId: '666' }],
    'peer_incompatible',
    /node 666/,
  ],
  ['a step of nothing', [...before, step], 'peer_incompatible', /not started/],
  [
    'a node twice',
    [...before, nodeStarted, nodeFinished, nodeFinished],
    'peer_incompatible',
    /twice/,
  ],
  ['a step too late', [...honest.slice(0, 4), step], 'peer_incompatible', /after its end/],
  ['more after the end', [...honest, nodeStarted], 'peer_incompatible', /after the end/],
  ['no end', honest.slice(0, 4), 'peer_incompatible', /without an outcome/],
  ['nothing', [], 'peer_incompatible', /without an outcome/],
  ['a word of its own', [...before, { type: 'dance' }], 'peer_incompatible', /understood/],
  ['negative times', [{ ...nodeFinished, elapsedMs: -1 }], 'peer_incompatible', /understood/],
  ['too few values', [...before, finished([])], 'corrupt_value', /0 values where 1/],
  ['too many values', [...before, finished([value, value])], 'corrupt_value', /2 values where 1/],
  [
    'another type',
    [...before, finished([{ ...value, type: 'IMAGE' }])],
    'corrupt_value',
    /IMAGE of node 1/,
  ],
  [
    'part of it',
    [...before, finished([{ ...value, slice: { start: 0, end: 1 } }])],
    'corrupt_value',
    /LATENT/,
  ],
  [
    'an absurd shape',
    [...before, finished([{ ...value, tensors: [{ ...value.tensors[0], shape: [1e9, 1e9] }] }])],
    'corrupt_value',
    /its tensors take/,
  ],
  [
    'an absurd size',
    [...before, finished([{ ...value, blob: { ...value.blob, sizeBytes: 5e10 } }])],
    'corrupt_value',
    /50000000000 bytes/,
  ],
  ['no picture', [...before, nodeStarted, { ...step, preview }], 'corrupt_value', /no image\/png/],
  [
    'an absurd picture',
    [
      ...before,
      nodeStarted,
      { ...step, preview: { ...preview, data: { blob: { ...value.blob, sizeBytes: 5e10 } } } },
    ],
    'corrupt_value',
    /50000000000 bytes/,
  ],
  [
    'absurdly many pictures',
    [...before, nodeStarted, { ...nodeFinished, pictures: Array(3).fill(largest) }],
    'corrupt_value',
    /3221225472 bytes/,
  ],
  [
    'a size beyond all',
    [...before, finished([{ ...value, blob: { ...value.blob, sizeBytes: 1e12 } }])],
    'peer_incompatible',
    /understood/,
  ],
]

t.test('lies', async (t) => {
  const { far, remote } = await remoteStages(t)
  const request = stageRequest('a', { stage: stageOf('a', outputs) })
  let told: readonly object[] = honest
  let cancels = 0
  await far.rpc.handle(protocols.stage, async function* () {
    yield* told as readonly StageMessage[]
  })
  await far.rpc.handle(protocols.stageCancel, () => {
    cancels++
    return {}
  })
  t.match(await remote().run(request, following()), { values: [value] }, 'the truth passes')
  const elsewhere = { ...value, holders: ['a peer that knows nothing of it'] }
  told = [...before, finished([elsewhere])]
  t.match(await remote().run(request, following()), { values: [{ holders: ['far'] }] })
  t.equal(cancels, 0)
  for (const [what, messages, code, message] of lies) {
    told = messages
    const run = remote().run(request, following())
    await t.rejects(run, { code, message, details: { peerId: 'far' } }, what)
  }
  await until(() => cancels === lies.length, 'it was told that nobody wants it')
})

t.test('a message without end', async (t) => {
  const { far, remote } = await remoteStages(t, { remote: { reattachMs: 0 } })
  await far.rpc.handle(protocols.stage, async function* () {
    yield* before
    yield nodeStarted as StageMessage
    yield { ...nodeFinished, ui: { text: ['x'.repeat(9 * 2 ** 20)] } } as unknown as StageMessage
  })
  await t.rejects(remote().run(stageRequest('a'), following()), { code: 'peer_unreachable' })
})
