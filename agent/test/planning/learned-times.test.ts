import t from 'tap'
import {
  estimateNodeMs,
  learnSample,
  type TimeSample,
  timeKey,
} from '../../src/planning/learned-times.ts'

const kind = { peerId: 'p', classType: 'KSampler', model: 'm' }
const times = (...samples: TimeSample[]) => new Map([[timeKey(kind), samples]])
const sample = (work: number, elapsedMs: number): TimeSample => ({ work, elapsedMs })

t.test('the median of just as much work, or else of the speeds', async (t) => {
  const known = times(sample(10, 900), sample(10, 100), sample(10, 110), sample(20, 150))
  t.equal(estimateNodeMs(known, { ...kind, work: 10 }), 110, 'a cold start moves it little')
  t.equal(estimateNodeMs(known, { ...kind, work: 20 }), 150)
  t.equal(estimateNodeMs(known, { ...kind, work: 100 }), 1000)
  t.equal(estimateNodeMs(times(sample(1, 900), sample(1, 20)), { ...kind, work: 1 }), 20)
})

t.test('a good guess is believed until two runs say otherwise', async (t) => {
  const long = sample(10, 3000)
  const cases: [what: string, samples: TimeSample[], expected: number | undefined][] = [
    ['never ran', [], undefined],
    ['once on a busy machine', [long], 2],
    ['once on a busy machine, then as always', [long, sample(10, 1)], 2],
    ['twice as long', [long, sample(10, 2900)], 2900],
    ['of less work', [sample(5, 1450), sample(5, 1500)], 2900],
    ['sooner than was guessed', [sample(10, 1)], 1],
  ]
  for (const [what, samples, expected] of cases)
    t.equal(estimateNodeMs(times(...samples), { ...kind, work: 10 }, 2), expected, what)
})

t.test('what is not known is not guessed', async (t) => {
  const known = times(sample(10, 100))
  t.equal(estimateNodeMs(known, { ...kind, peerId: 'other', work: 10 }), undefined)
  t.equal(estimateNodeMs(known, { ...kind, model: 'other', work: 10 }), undefined)
  t.equal(estimateNodeMs(new Map(), { ...kind, work: 10 }), undefined)
})

t.test('old samples give way', async (t) => {
  let samples: TimeSample[] = []
  for (let i = 0; i < 100; i++) samples = learnSample(samples, sample(1, i))
  t.ok(samples.length < 20)
  t.equal(samples.at(-1)?.elapsedMs, 99)
})
