import { parseJson, parsePythonJson, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'

t.test('integers beyond 2^53 stay intact', async (t) => {
  const text = '{"a":18446744073709551615,"b":[-9007199254740993,9007199254740991],"c":1e300}'
  const value = parseJson(text) as { a: bigint; b: unknown[]; c: number }
  t.equal(value.a, 18446744073709551615n)
  t.strictSame(value.b, [-9007199254740993n, 9007199254740991])
  t.equal(value.c, 1e300)
  t.equal(stringifyJson(value), text.replace('1e300', '1e+300'))
})

t.test('what only looks like one is left alone', async (t) => {
  for (const text of [
    '{"a":"18446744073709551615"}',
    String.raw`{"a":"\" 18446744073709551615"}`,
    String.raw`{"a\\":"\\","18446744073709551615":0.12345678901234567}`,
    '[0.30000000000000004,1234567890123456]',
  ]) {
    t.strictSame(parseJson(text), JSON.parse(text), text)
    t.equal(stringifyJson(parseJson(text)), JSON.stringify(JSON.parse(text)))
  }
  t.equal(parseJson('12345678901234567e3'), 12345678901234567e3)
})

t.test('broken JSON is a SyntaxError, with long digits in it or without', async (t) => {
  for (const text of ['', '{', '[1,]', '{"a":018446744073709551615}', '18446744073709551615,'])
    t.throws(() => parseJson(text), SyntaxError, text)
  t.throws(() => stringifyJson(undefined), TypeError)
})

t.test('a key that would change a prototype is just a key', async (t) => {
  const value = parseJson('{"__proto__":{"polluted":18446744073709551615}}') as object
  t.strictSame(Object.keys(value), ['__proto__'])
  t.equal((value as { polluted?: unknown }).polluted, undefined)
})

t.test('megabytes of escapes are no harder than other text', async (t) => {
  const text = `{"a":${JSON.stringify('\n"\\'.repeat(1_500_000))},"seed":18446744073709551615}`
  t.equal((parseJson(text) as { seed: bigint }).seed, 18446744073709551615n)
})

t.test("integers of more digits than Python's limit are refused", async (t) => {
  t.equal(parseJson('9'.repeat(4300)), 10n ** 4300n - 1n)
  // By their length: to find out what 2,000,000 digits mean takes a second.
  t.throws(() => parseJson(`{"a":${'9'.repeat(2_000_000)}}`), {
    name: 'SyntaxError',
    message: 'an integer of 2000000 digits is too long',
  })
})

t.test('megabytes of text take no minutes', async (t) => {
  const text = JSON.stringify({ workflow: 'x'.repeat(20_000_000) }).replace(
    '{',
    '{"seed":18446744073709551615,',
  )
  const value = parseJson(text) as { seed: bigint }
  t.equal(value.seed, 18446744073709551615n)
})

t.test('numbers that only Python writes', async (t) => {
  const text = '{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN Infinity","d":18446744073709551615}'
  t.strictSame(parsePythonJson(text), {
    a: Number.NaN,
    b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    c: 'NaN Infinity',
    d: 18446744073709551615n,
  })
  t.equal(stringifyJson(parsePythonJson('[NaN,1]')), '[null,1]')
  t.strictSame(parsePythonJson('{"a":1}'), { a: 1 })
  for (const broken of ['1NaN', 'NaNs', '-NaN', 'Infinity2', '{NaN:1}'])
    t.throws(() => parsePythonJson(broken), SyntaxError, broken)
  t.throws(() => parseJson('[NaN]'), SyntaxError, 'JSON itself has none')
})
