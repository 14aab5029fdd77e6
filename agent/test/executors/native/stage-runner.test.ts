import { readdirSync } from 'node:fs'
import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import type { Stage, StageEvent } from '../../../src/executors/executor.ts'
import { zeros } from '../../../src/executors/native/array/tensor.ts'
import type { ModelSessions } from '../../../src/executors/native/models.ts'
import { defineNode, type NodeRow } from '../../../src/executors/native/node.ts'
import { createOutputCache } from '../../../src/executors/native/output-cache.ts'
import { createStageRunner } from '../../../src/executors/native/stage-runner.ts'
import { ModelFolders } from '../../../src/models/folders.ts'
import { type SuiteNode, stageOf } from '../executor-suite.ts'
import { testFolders } from './native-fixture.ts'

const unavailable = () => Promise.reject(new Error('no model here'))

function fixture(t: Parameters<typeof testFolders>[0]) {
  const models = {
    textEncoder: unavailable,
    denoiser: unavailable,
    autoencoder: unavailable,
    loraDoubt: unavailable,
    provider: 'cpu',
    sessionMs: 0,
  }
  const received: unknown[] = []
  const warnings: string[] = []
  const rows = [
    defineNode({
      name: 'Pair',
      displayName: '',
      category: '',
      inputs: () => ({}),
      outputs: ['INT', 'STRING'],
      run: () => [7, 'seven'],
    }),
    defineNode({
      name: 'Receive',
      displayName: '',
      category: '',
      inputs: () => ({ required: { value: ['*', {}] } }) as const,
      outputs: [],
      run: (inputs) => {
        received.push(inputs)
        return []
      },
    }),
    defineNode({
      name: 'EmptyThing',
      displayName: '',
      category: '',
      inputs: () => ({}),
      outputs: ['LATENT'],
      run: () => [{ samples: zeros([1, 4, 2, 2]) }],
    }),
    defineNode({
      name: 'Doubt',
      displayName: '',
      category: '',
      inputs: () => ({}),
      outputs: [],
      run: (_inputs, { warn }) => {
        warn('half of it is ignored')
        return []
      },
    }),
    defineNode({
      name: 'Compute',
      displayName: '',
      category: '',
      inputs: () => ({}),
      outputs: [],
      run: () => {
        models.sessionMs += 25
        return []
      },
    }),
    defineNode({
      name: 'Raise',
      displayName: '',
      category: '',
      inputs: () => ({ required: { code: ['STRING', {}] } }) as const,
      outputs: [],
      run: ({ code }) => {
        throw new MeshError(code as never, 'as told', { details: { path: 'x' } })
      },
    }),
  ]
  const folders = testFolders(t)
  const valuesFolder = folders.temp
  const run = createStageRunner({
    rows: new Map(rows.map((row): [string, NodeRow] => [row.name, row])),
    folders: new ModelFolders(folders),
    models: models satisfies ModelSessions,
    outputs: createOutputCache(1_000_000),
    valuesFolder,
    now: () => performance.now(),
    warn: (message) => warnings.push(message),
  })
  const events: StageEvent[] = []
  const signal = new AbortController().signal
  const runStage = (stage: Stage) =>
    run(stage, { signal, previews: false, report: (e) => events.push(e) })
  const runNodes = (nodes: readonly SuiteNode[], signature?: (index: number) => string) =>
    runStage(stageOf(nodes, signature))
  return { runNodes, runStage, events, received, warnings, valuesFolder }
}

const pair = { classType: 'Pair', inputs: {} }

t.test('links bring outputs by slot; constants pass as they are', async (t) => {
  const { runNodes, received } = fixture(t)
  await runNodes([
    pair,
    { classType: 'Receive', inputs: { value: ['1', 1], seed: 2n ** 64n - 1n, list: ['a', 'b'] } },
  ])
  t.same(received, [{ value: 'seven', seed: 2n ** 64n - 1n, list: ['a', 'b'] }])
})

t.test('what a node warns of is told with the node, also where its result was known', async (t) => {
  const { runNodes, warnings, events } = fixture(t)
  for (let times = 0; times < 2; times++) {
    await runNodes([pair, { classType: 'Doubt', inputs: {} }], (id) => `node ${id}`)
  }
  t.strictSame(warnings, ['Doubt (node 2): half of it is ignored'], 'the log has it once')
  const ends = events.filter((event) => event.type === 'node-finished' && event.nodeId === '2')
  const told = { type: 'node-finished', warnings: ['half of it is ignored'] }
  t.match(ends, [
    { ...told, cached: false },
    { ...told, cached: true },
  ])
})

t.test('a link to what is not there fails the node that has it', async (t) => {
  const { runNodes } = fixture(t)
  for (const value of [
    ['9', 0],
    ['1', 2],
  ] as const) {
    const run = runNodes([pair, { classType: 'Receive', inputs: { value: [...value] } }])
    await t.rejects(run, { code: 'node_failed', details: { nodeId: '2' }, message: /input value/ })
  }
})

const text = { nodeId: '1', slot: 1, type: 'STRING' }
const receive = { classType: 'Receive', inputs: { value: ['1', 1] } }

t.test('a link to another stage is read from its file, once', async (t) => {
  const { runStage, received } = fixture(t)
  const conditioning = { nodeId: '7', slot: 0, type: 'CONDITIONING' }
  const { values } = await runStage({ ...stageOf([pair]), outputs: [text] })
  const listed = [{ ...values[0]!, ...conditioning, slot: 3 }, values[0]!]
  await runStage({ ...stageOf([receive, receive]), inputs: listed })
  t.same(received, [{ value: 'seven' }, { value: 'seven' }], 'what no link names is not read')
})

t.test('a value stays known for the stages that follow', async (t) => {
  const { runStage, received } = fixture(t)
  const nodes = [{ classType: 'EmptyThing', inputs: {} }]
  const output = { nodeId: '1', slot: 0, type: 'LATENT' }
  const { values } = await runStage({ ...stageOf(nodes), outputs: [output] })
  const take = { classType: 'Receive', inputs: { value: ['1', 0] } }
  for (let times = 0; times < 2; times++) {
    await runStage({ ...stageOf([{ ...take, inputs: { ...take.inputs, times } }]), inputs: values })
  }
  const [first, second] = received as { value: object }[]
  t.equal(first!.value, second!.value, 'the very same arrays')
})

t.test('what a recalled node returned is handed out too', async (t) => {
  const { runStage, events } = fixture(t)
  const stage = { ...stageOf([pair], () => 'same'), outputs: [text] }
  const first = await runStage(stage)
  const second = await runStage(stage)
  t.match(events.at(-1), { type: 'node-finished', cached: true })
  t.same(second.values[0]!.blob, first.values[0]!.blob)
})

t.test('a stage that cannot hand out everything leaves nothing', async (t) => {
  const { runStage, valuesFolder } = fixture(t)
  const outputs = [text, { nodeId: '1', slot: 0, type: 'LATENT' }]
  await t.rejects(runStage({ ...stageOf([pair]), outputs }), {
    code: 'node_failed',
    details: { nodeId: '1', slot: 0 },
  })
  t.same(readdirSync(valuesFolder), [])
})

t.test('equal signatures run once, also within a stage', async (t) => {
  const { runNodes, events, received } = fixture(t)
  const receive = { classType: 'Receive', inputs: { value: 1 } }
  await runNodes([receive, receive], () => 'same')
  t.equal(received.length, 1)
  t.match(events, [
    { type: 'node-started', nodeId: '1' },
    { type: 'node-finished', nodeId: '1', cached: false },
    { type: 'node-finished', nodeId: '2', cached: true },
  ])
})

t.test('time inside sessions is reported, with what computed', async (t) => {
  const { runNodes } = fixture(t)
  t.same(await runNodes([pair]), { sessionMs: 0, values: [] })
  t.same(await runNodes([{ classType: 'Compute', inputs: {} }]), {
    sessionMs: 25,
    values: [],
    provider: 'cpu',
  })
})

t.test('telling codes are kept, others become node_failed', async (t) => {
  const { runNodes } = fixture(t)
  const expected = {
    interrupted: 'interrupted',
    out_of_memory: 'out_of_memory',
    not_found: 'not_found',
    unsupported_model: 'unsupported_model',
    malformed_file: 'malformed_file',
    invalid_prompt: 'node_failed',
    internal: 'node_failed',
  }
  for (const [code, reported] of Object.entries(expected)) {
    const run = runNodes([{ classType: 'Raise', inputs: { code } }])
    const details = { nodeId: '1', classType: 'Raise', path: 'x' }
    await t.rejects(run, { code: reported, message: 'as told', details }, code)
  }
})
