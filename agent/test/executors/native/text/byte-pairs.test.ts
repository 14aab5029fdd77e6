import t from 'tap'
import { clipTokenizer } from '../../../../src/executors/native/text/byte-pairs.ts'
import { goldenDocument } from '../../../goldens.ts'

interface Splits {
  readonly about: {
    readonly word_splits: { readonly splits: { readonly text: string; readonly ids: number[] }[] }
  }
}

t.test("unusual words split as transformers' CLIPTokenizer splits them", async (t) => {
  const tokenizer = await clipTokenizer()
  const { splits } = goldenDocument<Splits>('text').about.word_splits
  t.ok(splits.length > 10)
  for (const { text, ids } of splits) t.strictSame(tokenizer(text), ids, encodeURI(text))
})

t.test('words that are also names of object members are words', async (t) => {
  const tokenizer = await clipTokenizer()
  t.strictSame(tokenizer('constructor'), [13321, 1208], 'from transformers 5.23')
})

t.test('only exactly written special tokens are special', async (t) => {
  const tokenizer = await clipTokenizer()
  t.strictSame(tokenizer('a<|endoftext|>b'), [320, 49407, 321])
  t.notOk(tokenizer('a<|ENDOFTEXT|>b').includes(49407))
})

t.test('a long text without spaces takes a second, not minutes', async (t) => {
  const tokenizer = await clipTokenizer()
  const letters = Array.from({ length: 200_000 }, (_, i) =>
    String.fromCharCode(97 + ((i * i) % 26)),
  )
  t.ok(tokenizer(letters.join('')).length > 1000)
})
