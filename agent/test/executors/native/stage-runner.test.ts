import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import type { StageEvent } from '../../../src/executors/executor.ts'
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
    provider: 'cpu',
    sessionMs: 0,
  }
  const received: unknown[] = []
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
  const run = createStageRunner({
    rows: new Map(rows.map((row): [string, NodeRow] => [row.name, row])),
    folders: new ModelFolders(testFolders(t)),
    models: models satisfies ModelSessions,
    outputs: createOutputCache(1_000_000),
    valuesFolder: t.testdir(),
    now: () => performance.now(),
  })
  const events: StageEvent[] = []
  const signal = new AbortController().signal
  const runNodes = (nodes: readonly SuiteNode[], signature?: (index: number) => string) =>
    run(stageOf(nodes, signature), { signal, previews: false, report: (e) => events.push(e) })
  return { runNodes, events, received }
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
