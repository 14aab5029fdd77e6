import { heldBytes, jsonExcess } from '@comfymesh/protocol/json-extent'
import t from 'tap'

const excess = (text: string, limits = { maxValues: 10, maxDepth: 3 }) =>
  jsonExcess(Buffer.from(text), limits)

t.test('within the limits', async (t) => {
  for (const text of ['', '1', '[]', '[[[1]]]', '{"a":[1,2,3]}', '[1,2,3,4,5,6,7,8,9,10]'])
    t.equal(excess(text), undefined, text)
})

t.test('too deep', async (t) => {
  for (const text of ['[[[[', '{"a":{"b":{"c":[]}}}', '['.repeat(1e6)])
    t.equal(excess(text), 'depth')
  t.equal(
    excess(`[${'[],'.repeat(5)}[]]`, { maxValues: 99, maxDepth: 2 }),
    undefined,
    'side by side',
  )
})

t.test('too many', async (t) => {
  t.equal(excess(`[${'1,'.repeat(11)}1]`), 'values')
  t.equal(excess(`[${'[],'.repeat(8)}[]]`), 'values', 'empty ones count too')
})

t.test('what stands in a string counts for nothing', async (t) => {
  t.equal(excess(JSON.stringify('[{,'.repeat(100))), undefined)
  t.equal(excess(`["\\"[[[[[[","\\\\",1]`), undefined, 'escaped quotes')
  t.equal(excess(`["\\\\",[[[[]]]]]`), 'depth', 'an escaped backslash ends nothing')
  t.equal(excess('["[[[[[['), undefined, 'nor in one without an end')
  const long = 'x'.repeat(200)
  for (const backslashes of [0, 1, 2, 3, 63, 64, 65, 1000, 1_000_001]) {
    const isEscaped = backslashes % 2 === 1
    const text = `["${long}${'\\'.repeat(backslashes)}"[[[[`
    t.equal(excess(text), isEscaped ? undefined : 'depth', `${backslashes} backslashes`)
  }
})

t.test('what a parsed value holds', async (t) => {
  t.ok(heldBytes('x'.repeat(1000)) >= 1000)
  t.ok(heldBytes({ ['x'.repeat(1000)]: null }) >= 1000, 'names count too')
  t.ok(heldBytes(10n ** 4000n) >= 1600, 'and large integers')
  t.ok(heldBytes([[[1, 2], [true]], null]) >= 7 * 8)
  let deep: [] | [unknown] = []
  for (let i = 0; i < 100_000; i++) deep = [deep]
  t.ok(heldBytes(deep as never) >= 100_000 * 8, 'at any depth')
})
