/** The order in which nodes run, in graphs of odd shapes. */
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { executionOrder } from '../../src/planning/graph.ts'
import { testDefinitions } from '../fake-executor.ts'

const int = { class_type: 'TN_Int', inputs: { value: 1 } }
const out = (from: string) => ({ class_type: 'TN_Out', inputs: { x: [from, 0] } })
const add = (a: string, b: string | number) => ({
  class_type: 'TN_Add',
  inputs: { a: [a, 0], b: typeof b === 'string' ? [b, 0] : b },
})
const orderOf = (prompt: object, outputs: string[]) =>
  executionOrder({ prompt: prompt as Prompt, definitions: testDefinitions }, outputs)

t.test('an output goes first, then what leads to one soonest', async (t) => {
  const prompt = {
    far: int,
    near: int,
    direct: int,
    sum: add('far', 'near'),
    total: add('sum', 'near'),
    long: out('total'),
    short: out('direct'),
  }
  t.strictSame(orderOf(prompt, ['long', 'short']), [
    'direct',
    'short',
    'near',
    'far',
    'sum',
    'total',
    'long',
  ])
})

t.test('a chain longer than any stack of calls', async (t) => {
  const length = 20_000
  const prompt: Record<string, object> = { n0: int, end: out(`n${length - 1}`) }
  for (let index = 1; index < length; index++) prompt[`n${index}`] = add(`n${index - 1}`, 1)
  const order = orderOf(prompt, ['end'])
  t.strictSame([order.length, order[0], order.at(-1)], [length + 1, 'n0', 'end'])
})

t.test('very many nodes that are ready at once', async (t) => {
  const prompt: Record<string, object> = {}
  const outputs: string[] = []
  for (let index = 0; index < 10_000; index++) {
    prompt[`n${index}`] = int
    prompt[`o${index}`] = out(`n${index}`)
    outputs.push(`o${index}`)
  }
  const order = orderOf(prompt, outputs)
  t.strictSame(order.slice(0, 4), ['n0', 'o0', 'n1', 'o1'], 'each output as soon as it is ready')
  t.equal(order.length, 20_000)
})

t.test('nodes that no output needs do not run', async (t) => {
  t.strictSame(orderOf({ 1: int, 2: int, 3: out('1') }, ['3']), ['1', '3'])
})
