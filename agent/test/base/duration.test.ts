import t from 'tap'
import { counted } from '../../src/base/duration.ts'

t.test('a count has its noun in the number that fits', async (t) => {
  t.strictSame(
    [0, 1, 2].map((count) => counted(count, 'file')),
    ['0 files', '1 file', '2 files'],
  )
  t.equal(counted(2, 'LoRA of yours', 'LoRAs of yours'), '2 LoRAs of yours')
})
