import t from 'tap'
import { createBatches } from '../../src/base/batches.ts'

/** Work that ends when it is told to. */
function heldWork() {
  const batches: { readonly items: readonly number[]; end: (error?: Error) => void }[] = []
  const add = createBatches<number>(
    (items) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error === undefined ? resolve() : reject(error))
        batches.push({ items, end })
      }),
  )
  const begun = async (count: number) => {
    while (batches.length < count) await new Promise((resolve) => setImmediate(resolve))
    return batches.map(({ items }) => items)
  }
  return { add, batches, begun }
}

t.test('what comes while a batch is under way makes up the next, in its order', async (t) => {
  const { add, batches, begun } = heldWork()
  const first = [add(1), Promise.resolve().then(() => add(2))]
  t.strictSame(await begun(1), [[1, 2]], 'at the end of the turn where nothing is under way')
  const others = [add(3), add(4)]
  batches[0]!.end()
  await Promise.all(first)
  t.strictSame(await begun(2), [
    [1, 2],
    [3, 4],
  ])
  const last = add(5)
  batches[1]!.end()
  await Promise.all(others)
  t.strictSame(await begun(3), [[1, 2], [3, 4], [5]])
  batches[2]!.end()
  await last
})

t.test('a batch that fails fails for those in it, and for nobody else', async (t) => {
  const { add, batches, begun } = heldWork()
  const first = add(1)
  await begun(1)
  const others = [add(2), add(3)]
  batches[0]!.end(new Error('full'))
  await t.rejects(first, /full/)
  await begun(2)
  batches[1]!.end()
  t.strictSame(await Promise.all(others), [undefined, undefined])
})
