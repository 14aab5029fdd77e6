/** What makes two nodes the same to a cache. */
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { executionOrder } from '../../src/planning/graph.ts'
import { signaturesOf, stageKey } from '../../src/planning/signature.ts'
import { testDefinitions as definitions } from '../fake-executor.ts'

function signature(prompt: object, id: string, fingerprints: Record<string, string> = {}): string {
  const graph = { prompt: prompt as Prompt, definitions }
  const order = executionOrder(graph, [id])
  return signaturesOf(graph, order, new Map(Object.entries(fingerprints))).get(id)!
}

const int = (inputs: object) => ({ class_type: 'TN_Int', inputs })
const add = (a: string, b: number) => ({ class_type: 'TN_Add', inputs: { a: [a, 0], b } })

t.test('what does not count', async (t) => {
  const base = signature({ 1: int({ value: 1, f: 0.5 }), 2: add('1', 3) }, '2')
  t.match(base, /^[0-9a-f]{64}$/)
  t.equal(signature({ x: int({ value: 1, f: 0.5 }), y: add('x', 3) }, 'y'), base, 'ids')
  t.equal(signature({ 1: int({ f: 0.5, value: 1 }), 2: add('1', 3) }, '2'), base, 'order of inputs')
  const titled = { ...int({ value: 1, f: 0.5 }), _meta: { title: 'mine' } }
  t.equal(signature({ 1: titled, 2: add('1', 3) }, '2'), base, 'titles')
  t.equal(
    signature({ 1: int({ value: 1, f: 0.5, unknown: 9 }), 2: add('1', 3) }, '2'),
    base,
    'unknown inputs',
  )
})

t.test('what counts', async (t) => {
  const variants = {
    base: signature({ 1: int({ value: 1 }), 2: add('1', 3) }, '2'),
    value: signature({ 1: int({ value: 1 }), 2: add('1', 4) }, '2'),
    upstream: signature({ 1: int({ value: 2 }), 2: add('1', 3) }, '2'),
    fingerprint: signature({ 1: int({ value: 1 }), 2: add('1', 3) }, '2', { 1: 'changed' }),
    class: signature({ 1: { class_type: 'TN_Validated', inputs: { x: 1 } }, 2: add('1', 3) }, '2'),
    slot: signature(
      { 1: int({ value: 1 }), 2: { class_type: 'TN_Add', inputs: { a: ['1', 1], b: 3 } } },
      '2',
    ),
    constant: signature({ 2: { class_type: 'TN_Add', inputs: { a: 1, b: 3 } } }, '2'),
  }
  t.equal(new Set(Object.values(variants)).size, Object.keys(variants).length)
  const seed = (value: bigint | number) =>
    signature({ 1: { class_type: 'TN_Seed', inputs: { seed: value } } }, '1')
  t.not(seed(18446744073709551615n), seed(18446744073709551614n), 'the last bit of a seed')
  const own = (id: string) => signature({ [id]: { class_type: 'TN_Id', inputs: {} } }, id)
  t.not(own('1'), own('2'), 'its id, to a class that asks for it')
})

t.test('stages', async (t) => {
  const nodes = [{ id: '1', signature: 'a' }]
  const outputs = [{ nodeId: '1', slot: 0 }]
  t.equal(stageKey(nodes, outputs, 0), stageKey([...nodes], [...outputs], 0))
  t.not(stageKey(nodes, [], 0), stageKey(nodes, [], 1), 'another shard')
  t.not(stageKey(nodes, [], 0), stageKey(nodes, outputs, 0), 'another wish')
  const renamed = [{ id: '2', signature: 'a' }]
  t.not(stageKey(nodes, [], 0), stageKey(renamed, [], 0), 'events name nodes by id')
})
