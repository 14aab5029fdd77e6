import t from 'tap'
import { createOutputCache } from '../../../src/executors/native/output-cache.ts'

const shown = (floats: number) => ({
  outputs: [{ data: new Float32Array(floats), shape: [floats] }],
})

t.test('what was returned comes back', (t) => {
  const cache = createOutputCache(10_000)
  const show = shown(10)
  cache.set('a', show)
  t.equal(cache.get('a'), show)
  t.equal(cache.get('b'), undefined)
  t.end()
})

t.test('the least used goes when the bytes are used up', (t) => {
  const cache = createOutputCache(10_000)
  cache.set('a', shown(1000))
  cache.set('b', shown(1000))
  cache.get('a')
  cache.set('c', shown(1000))
  t.ok(cache.get('a'))
  t.notOk(cache.get('b'))
  t.ok(cache.get('c'))
  t.end()
})

t.test('replacing an entry counts it once; what is larger than all is not kept', (t) => {
  const cache = createOutputCache(10_000)
  for (let i = 0; i < 5; i++) cache.set('a', shown(1000))
  cache.set('b', shown(1000))
  t.ok(cache.get('a'))
  t.ok(cache.get('b'))
  cache.set('huge', shown(3000))
  t.notOk(cache.get('huge'))
  t.ok(cache.get('a'), 'and displaces nothing')
  t.end()
})
