/** Jobs over several peers: how stages are carried out, and what becomes of them when a peer fails. */
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import type { StageOutcome } from '@comfymesh/protocol/stage'
import type { ValueReference } from '@comfymesh/protocol/value'
import t from 'tap'
import {
  branchedPrompt,
  broken,
  leaves,
  type Mischief,
  mesh,
  picturePrompt,
  pixels,
  reached,
  submit,
  type TestPeer,
  usual,
} from './peers.ts'
import { until } from './stages.ts'

t.test('a prompt that no peer can run alone', async (t) => {
  const { jobs, peers, dataDir, events } = await mesh(t, ['a', 'b'])
  const state = await reached(jobs, await submit(jobs, picturePrompt()))
  t.equal(state.status, 'completed', JSON.stringify(state.error))
  t.strictSame(
    state.stages.map(({ peerId, values }) => [peerId, values.length]),
    [
      ['a', 1],
      ['b', 1],
      ['a', 0],
    ],
  )
  t.strictSame(
    state.attempts.map(({ status }) => status),
    ['finished', 'finished', 'finished'],
  )
  t.ok(state.transferBytes > 0)
  t.strictSame(peers.b!.executor.ran, ['TN_Brighten'])
  t.strictSame(
    state.nodes.map(({ nodeId, peerId }) => [nodeId, peerId]),
    [
      ['1', 'a'],
      ['2', 'b'],
      ['3', 'a'],
    ],
  )
  t.equal(pixels(dataDir).length, 1)
  const alone = await mesh(t, ['solo'], {})
  const single = await reached(alone.jobs, await submit(alone.jobs, picturePrompt()))
  t.equal(single.stages.length, 1)
  t.equal(single.transferBytes, 0)
  t.equal(
    alone.peers.solo!.blobs.totalBytes(),
    0,
    'no value is written where none leaves its stage',
  )
  t.strictSame(pixels(alone.dataDir), pixels(dataDir).slice(0, 1))
  t.ok(events.some(({ type }) => type === 'stage-began'))
})

/** What goes wrong, and the code of the failure that the job then tells of. */
const faults: { [what: string]: [ErrorCode, (peer: TestPeer) => ReturnType<Mischief>] } = {
  'leaves the mesh': ['peer_unreachable', (peer) => leaves(peer)()],
  'loses its runner': ['runner_died', broken('runner_died', 'The runner died.')],
  'has no memory': ['out_of_memory', broken('out_of_memory', 'Not enough memory.')],
  'has no room': ['storage_failed', broken('storage_failed', 'The disk is full.')],
  'is another release': ['peer_incompatible', broken('peer_incompatible', 'Not spoken here.')],
  'lost the model': ['not_found', broken('not_found', 'There is no such model.')],
  'is stopped': ['peer_unreachable', broken('interrupted', 'The stage was cancelled.')],
}

for (const phase of ['sent', 'began', 'node-started', 'finished'] as const)
  for (const [what, [code, mischief]] of Object.entries(faults))
    t.test(`a peer ${what} when a stage is ${phase}: another one takes over`, async (t) => {
      const { jobs, peers, dataDir } = await mesh(t)
      const { b, c } = peers as { b: TestPeer; c: TestPeer }
      b.mischief = (moment) => (moment.phase === phase ? mischief(b) : undefined)
      const state = await reached(jobs, await submit(jobs, picturePrompt()))
      t.equal(state.status, 'completed', JSON.stringify(state.error))
      t.match(
        state.attempts.map(({ peerId, status, error }) => [peerId, status, error?.code]),
        [
          ['a', 'finished', undefined],
          ['b', 'failed', code],
          ['c', 'finished', undefined],
          ['a', 'finished', undefined],
        ],
      )
      t.equal(state.attempts[1]?.blamedPeerId, 'b')
      t.strictSame(c.executor.ran, ['TN_Brighten'])
      t.equal(state.earlierPlans.length, 1)
      t.strictSame(pixels(dataDir), [await usual(t)])
    })

const change = (outcome: StageOutcome, value: Partial<ValueReference>): StageOutcome => ({
  ...outcome,
  values: outcome.values.map((one) => ({ ...one, ...value })),
})
const tensor = { name: 'image', dtype: 'F32' as const }
const lies: { [what: string]: (outcome: StageOutcome) => StageOutcome } = {
  'no value': (outcome) => ({ ...outcome, values: [] }),
  'another node': (outcome) => change(outcome, { nodeId: '7' }),
  'another type': (outcome) => change(outcome, { type: 'LATENT' }),
  'a flat picture': (outcome) => change(outcome, { tensors: [{ ...tensor, shape: [8, 8] }] }),
  'more than its bytes': (outcome) =>
    change(outcome, { tensors: [{ ...tensor, shape: [1, 999, 999, 3] }] }),
  'what another holds': (outcome) => change(outcome, { holders: ['z'] }),
}

for (const [what, lie] of Object.entries(lies))
  t.test(`a peer that says it made ${what} is not believed`, async (t) => {
    const { jobs, peers, dataDir } = await mesh(t)
    peers.b!.lie = lie
    const state = await reached(jobs, await submit(jobs, picturePrompt()))
    t.equal(state.status, 'completed', JSON.stringify(state.error))
    t.match(state.attempts[1], { peerId: 'b', status: 'failed', error: { code: 'corrupt_value' } })
    t.strictSame(
      state.stages.map(({ peerId }) => peerId),
      ['a', 'c', 'a'],
    )
    t.strictSame(pixels(dataDir), [await usual(t)])
  })

t.test('whoever handed out wrong bytes is to blame, not who noticed', async (t) => {
  const { jobs, peers, dataDir } = await mesh(t, ['a', 'b', 'c', 'd'], {
    a: ['TN_Brighten', 'TN_Pixels'],
    b: ['TN_Brighten', 'TN_Show'],
    c: ['TN_Pixels', 'TN_Show'],
    d: ['TN_Brighten', 'TN_Show'],
  })
  const { c } = peers as { c: TestPeer }
  let sent = 0
  c.mischief = async ({ phase }) => {
    if (phase !== 'sent' || sent++ > 0) return
    const { id } = jobs.running()[0]!.request
    const { stages } = await reached(jobs, id, (state) => state.stages.length > 0)
    const details = { peerId: 'b', hash: stages[0]!.values[0]!.blob.hash }
    throw new MeshError('corrupt_value', 'Wrong bytes from b.', { details })
  }
  const state = await reached(jobs, await submit(jobs, picturePrompt()))
  t.equal(state.status, 'completed', JSON.stringify(state.error))
  t.match(
    state.attempts.map(({ peerId, status, blamedPeerId }) => [peerId, status, blamedPeerId]),
    [
      ['b', 'finished', undefined],
      ['c', 'failed', 'b'],
      ['d', 'finished', undefined],
      ['c', 'finished', undefined],
      ['a', 'finished', undefined],
    ],
  )
  t.strictSame(pixels(dataDir), [await usual(t)])
})

t.test('a peer that is busy is waited for', async (t) => {
  const { jobs, peers } = await mesh(t, ['a', 'b'])
  let refusals = 0
  peers.b!.mischief = ({ phase }) => {
    if (phase !== 'sent' || refusals++ > 2) return undefined
    return Promise.reject(new MeshError('busy', 'later', { details: { retryAfterMs: 1 } }))
  }
  const state = await reached(jobs, await submit(jobs, picturePrompt()))
  t.equal(state.status, 'completed')
  t.equal(state.attempts.length, 3, 'one attempt, however often it asked')
})

t.test('nobody is left: the reason says what each met', async (t) => {
  const { jobs, peers } = await mesh(t)
  for (const peer of [peers.b!, peers.c!]) {
    peer.mischief = ({ phase }) =>
      phase === 'began' ? broken('out_of_memory', `${peer.name} has no memory.`)() : undefined
  }
  const state = await reached(jobs, await submit(jobs, picturePrompt()))
  t.match(state, { status: 'failed', error: { code: 'out_of_memory' } })
  for (const part of ['b: failed this job: b has no memory', 'c: failed this job: c has no memory'])
    t.ok(state.error?.message.includes(part), `${state.error?.message}`)
  for (const name of ['b', 'c']) {
    const own = state.attempts.filter(({ peerId }) => peerId === name)
    t.equal(own.length, 2, 'a second chance when nobody else is left, and no third')
  }
})

t.test('a failure that is the prompt is not tried elsewhere', async (t) => {
  const { jobs, peers } = await mesh(t)
  const details = { nodeId: '2', classType: 'TN_Brighten' }
  peers.b!.mischief = ({ phase }) =>
    phase === 'began'
      ? Promise.reject(new MeshError('node_failed', 'boom', { details }))
      : undefined
  const state = await reached(jobs, await submit(jobs, picturePrompt()))
  t.match(state, { status: 'failed', endNodeId: '2', error: { code: 'node_failed' } })
  t.equal(state.attempts.length, 2)
  t.strictSame(peers.c!.executor.ran, [])
})

t.test('independent stages run at once, and what fails leaves the others alone', async (t) => {
  const { jobs, peers, events } = await mesh(t, ['a', 'b', 'c', 'd'], {
    a: ['TN_Steps', 'TN_Seed', 'TN_Int'],
    b: ['TN_Add', 'TN_Out', 'TN_Seed'],
    c: ['TN_Add', 'TN_Out', 'TN_Steps'],
    d: ['TN_Add', 'TN_Out', 'TN_Steps'],
  })
  const { b, c } = peers as { b: TestPeer; c: TestPeer }
  let open = () => {}
  b.executor.gate = new Promise<void>((resolve) => {
    open = resolve
  })
  c.mischief = ({ phase }) =>
    phase === 'began' ? broken('runner_died', 'The runner died.')() : undefined
  const id = await submit(jobs, branchedPrompt())
  await reached(jobs, id, ({ stages }) => stages.some(({ peerId }) => peerId === 'd'))
  t.ok(events.some((event) => event.type === 'stage-failed' && event.peerId === 'c'))
  open()
  const state = await reached(jobs, id)
  t.match(
    state,
    { status: 'completed', outputs: { 5: { text: ['2'] } } },
    String(state.error?.message),
  )
  t.equal(state.attempts.filter(({ peerId }) => peerId === 'b').length, 1)
  t.equal(b.executor.stages.length, 1)
})

t.test('a late result of an attempt that was given up changes nothing', async (t) => {
  const { jobs, peers, dataDir, events } = await mesh(t)
  const { b } = peers as { b: TestPeer }
  let open = () => {}
  b.executor.gate = new Promise<void>((resolve) => {
    open = resolve
  })
  b.mischief = ({ phase }) =>
    phase === 'began' ? broken('peer_unreachable', 'The link broke.')() : undefined
  const id = await submit(jobs, picturePrompt())
  const state = await reached(jobs, id)
  const count = events.length
  open()
  await reached(jobs, await submit(jobs, branchedPrompt()))
  t.strictSame(
    events.slice(count).filter(({ jobId }) => jobId === id),
    [],
  )
  t.strictSame(
    state.stages.map(({ peerId }) => peerId),
    ['a', 'c', 'a'],
  )
  t.strictSame(pixels(dataDir), [await usual(t)])
})

t.test('interrupting cancels everywhere', async (t) => {
  const { jobs, peers } = await mesh(t, ['a', 'b', 'c'], {
    a: ['TN_Steps', 'TN_Seed', 'TN_Int'],
    b: ['TN_Add', 'TN_Out', 'TN_Seed'],
    c: ['TN_Add', 'TN_Out', 'TN_Steps'],
  })
  for (const peer of Object.values(peers)) peer.executor.gate = new Promise(() => {})
  const id = await submit(jobs, branchedPrompt())
  const isComputing = ({ status }: { status: string }) => status === 'computing'
  await reached(jobs, id, ({ attempts }) => attempts.filter(isComputing).length === 2)
  jobs.interrupt(id)
  const state = await reached(jobs, id)
  t.equal(state.status, 'interrupted')
  t.strictSame(
    state.attempts.map(({ status }) => status),
    ['given-up', 'given-up'],
  )
  for (const { worker, name } of Object.values(peers)) {
    await until(() => worker.busyMs() === 0, `${name} goes on`)
  }
})
