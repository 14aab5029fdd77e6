import t from 'tap'
import { buildNetwork } from '../../../../src/executors/native/graphs/layers.ts'
import { blockRows, product } from '../../../../src/executors/native/graphs/product.ts'
import { ruleValues } from '../../../models/model-files.ts'
import { fused, noWeights, plain, relativeError, runGraph } from './run-graph.ts'

const [INTO, OUT] = [24, 20]

/** Numbers of the result, and how many blocks the product was cut into. */
async function multiply(dialect: typeof plain, tokens: number, hasBias: boolean) {
  const graph = buildNetwork('product', noWeights, { dialect }, (network) => {
    const [weight, bias] = [[OUT, INTO], [OUT]].map((shape, index) =>
      network.constant([...ruleValues(`${index}`, index === 0 ? OUT * INTO : OUT)], shape),
    )
    const x = network.input('x', [tokens, INTO])
    return { y: product(network, x, weight!, hasBias ? bias : undefined) }
  })
  const { y } = await runGraph(graph, { x: ruleValues('x', tokens * INTO) })
  return { y: y!, isCut: Buffer.from(graph.model).includes('FusedMatMul') }
}

t.test('a product in blocks is the product', async (t) => {
  for (const hasBias of [false, true]) {
    const whole = await multiply(plain, 1152, hasBias)
    const blocked = await multiply(fused, 1152, hasBias)
    t.strictSame([whole.isCut, blocked.isCut], [false, true])
    t.ok(relativeError(blocked.y, whole.y) < 1e-5, `bias: ${hasBias}`)
  }
})

t.test('few tokens are one product', async (t) => {
  t.equal((await multiply(fused, 154, true)).isCut, false)
})

t.test('blocks are of one size, and neither small nor large', async (t) => {
  t.equal(blockRows(8192), 512)
  t.equal(blockRows(1152), 384)
  t.equal(blockRows(2 * 521), 2 * 521, 'nothing between divides it')
})
