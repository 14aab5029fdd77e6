import t from 'tap'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { conditioningNodes } from '../../../../src/executors/native/nodes/conditioning.ts'
import type { Conditioning, Tensor } from '../../../../src/executors/native/values.ts'

const tensor = (values: number[], ...shape: number[]): Tensor => ({
  data: Float32Array.from(values),
  shape,
})

const warnings: string[] = []
const context = { warn: (message) => warnings.push(message) } as Partial<NodeContext> as NodeContext

async function run(name: string, inputs: { [name: string]: unknown }): Promise<Conditioning> {
  const row = conditioningNodes.find((node) => node.name === name)!
  return (await row.run(inputs, context)).outputs[0] as Conditioning
}

const short: Conditioning = [{ tokens: tensor([2, 4], 1, 1, 2), pooled: tensor([8, 0], 1, 2) }]
const long: Conditioning = [{ tokens: tensor([0, 2, 6, 8], 1, 2, 2), pooled: tensor([0, 4], 1, 2) }]
const bare: Conditioning = [{ tokens: tensor([1, 1], 1, 1, 2) }]

t.test('ConditioningAverage mixes tokens and pooled states', async (t) => {
  const mixed = { conditioning_to: long, conditioning_from: short, conditioning_to_strength: 0.75 }
  const [entry] = await run('ConditioningAverage', mixed)
  t.strictSame(
    [...entry!.tokens.data],
    [0.5, 2.5, 4.5, 6],
    'the shorter one is filled up with zeros',
  )
  t.strictSame([...entry!.pooled!.data], [2, 3])
  const [cut] = await run('ConditioningAverage', {
    conditioning_to: short,
    conditioning_from: long,
    conditioning_to_strength: 0,
  })
  t.strictSame([...cut!.tokens.data], [0, 2], 'the longer one is cut')
})

t.test('ConditioningAverage takes the pooled state of the one that has it', async (t) => {
  const inputs = { conditioning_to_strength: 0.5 }
  const to = { ...inputs, conditioning_to: bare, conditioning_from: short }
  t.strictSame([...(await run('ConditioningAverage', to))[0]!.pooled!.data], [8, 0])
  const from = { ...inputs, conditioning_to: short, conditioning_from: bare }
  t.strictSame([...(await run('ConditioningAverage', from))[0]!.pooled!.data], [8, 0])
})

t.test('ConditioningConcat appends tokens and keeps the first pooled state', async (t) => {
  const [entry] = await run('ConditioningConcat', {
    conditioning_to: short,
    conditioning_from: long,
  })
  t.strictSame(entry!.tokens, tensor([2, 4, 0, 2, 6, 8], 1, 3, 2))
  t.strictSame([...entry!.pooled!.data], [8, 0])
})

t.test('text encoders of different widths do not mix', async (t) => {
  const wide: Conditioning = [{ tokens: tensor([1, 2, 3], 1, 1, 3) }]
  const inputs = { conditioning_to: short, conditioning_from: wide, conditioning_to_strength: 1 }
  await t.rejects(run('ConditioningAverage', inputs), { code: 'node_failed', message: /2 and 3/ })
  await t.rejects(run('ConditioningConcat', inputs), { code: 'node_failed' })
})

t.test('a second entry of what is mixed in is ignored with a warning', async (t) => {
  const inputs = { conditioning_to: short, conditioning_to_strength: 1 }
  const two = { ...inputs, conditioning_from: [...short, ...long] }
  for (const name of ['ConditioningAverage', 'ConditioningConcat']) {
    warnings.length = 0
    const mixed = await run(name, two)
    t.strictSame(mixed, await run(name, { ...inputs, conditioning_from: short }))
    t.match(warnings, [/more than one entry; only the first is used/])
    t.equal(warnings.length, 1, 'of one entry nothing is said')
  }
})

t.test('ConditioningCombine keeps the order', async (t) => {
  const combined = await run('ConditioningCombine', { conditioning_1: short, conditioning_2: long })
  t.strictSame(combined, [...short, ...long])
})

t.test('ConditioningSetArea counts in latent cells', async (t) => {
  const area = { width: 71, height: 128, x: 16, y: 24, strength: 0.5 }
  const [entry] = await run('ConditioningSetArea', { conditioning: short, ...area })
  t.match(entry, { area: [16, 8, 3, 2], strength: 0.5, setAreaToBounds: false })
  t.strictSame(entry!.tokens, short[0]!.tokens)
})

t.test('ConditioningSetMask', async (t) => {
  const mask = tensor([0, 1], 1, 1, 2)
  const inputs = { conditioning: short, mask, strength: 2 }
  const [plain] = await run('ConditioningSetMask', { ...inputs, set_cond_area: 'default' })
  t.match(plain, { mask, maskStrength: 2, setAreaToBounds: false })
  const [bounds] = await run('ConditioningSetMask', { ...inputs, set_cond_area: 'mask bounds' })
  t.equal(bounds!.setAreaToBounds, true)
})

t.test('ConditioningZeroOut clears tokens and pooled state, nothing else', async (t) => {
  const [entry] = await run('ConditioningZeroOut', {
    conditioning: [{ ...short[0]!, startPercent: 0.5 }],
  })
  t.strictSame([...entry!.tokens.data, ...entry!.pooled!.data], [0, 0, 0, 0])
  t.equal(entry!.startPercent, 0.5)
  t.strictSame([...short[0]!.tokens.data], [2, 4], 'the input stays as it was')
})

t.test('ConditioningSetTimestepRange', async (t) => {
  const range = { conditioning: short, start: 0.25, end: 0.75 }
  const [entry] = await run('ConditioningSetTimestepRange', range)
  t.match(entry, { startPercent: 0.25, endPercent: 0.75 })
})
