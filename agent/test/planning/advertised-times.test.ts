/** Learned times on their way from one machine's planner to another's. */
import t from 'tap'
import { advertisedTimes, knownTimes } from '../../src/planning/advertised-times.ts'
import { timeKey } from '../../src/planning/learned-times.ts'
import { peer } from './meshes.ts'

const sampler = { peerId: 'id-b', classType: 'KSampler', model: 'sub/sd15.safetensors' }
const times = new Map([
  [
    timeKey(sampler),
    [
      { work: 20, elapsedMs: 900 },
      { work: 20, elapsedMs: 1000 },
      { work: 20, elapsedMs: 5000 },
      { work: 10, elapsedMs: 400 },
    ],
  ],
  [timeKey({ ...sampler, model: 'gone.safetensors' }), [{ work: 1, elapsedMs: 1 }]],
  [timeKey({ ...sampler, peerId: 'id-c' }), [{ work: 1, elapsedMs: 1 }]],
  [timeKey({ ...sampler, classType: 'SaveImage', model: '' }), [{ work: 1, elapsedMs: 7 }]],
])
const model = { kind: 'checkpoints', id: 'content', sizeBytes: 1 }

t.test('medians by work, of this peer and of models that it still has', async (t) => {
  const catalog = [{ ...model, name: 'sub/sd15.safetensors' }]
  t.strictSame(advertisedTimes(times, 'id-b', catalog), [
    {
      classType: 'KSampler',
      modelId: 'content',
      samples: [
        { work: 20, elapsedMs: 1000 },
        { work: 10, elapsedMs: 400 },
      ],
    },
    { classType: 'SaveImage', samples: [{ work: 1, elapsedMs: 7 }] },
  ])
})

t.test('what was measured here counts more than what a peer says', async (t) => {
  const told = advertisedTimes(times, 'id-b', [{ ...model, name: 'sub/sd15.safetensors' }])
  const b = peer('b')
  const offer = {
    ...b,
    advertisement: { ...b.advertisement, times: told },
    catalog: [{ ...model, name: 'sub\\sd15.safetensors' }],
  }
  const known = knownTimes(new Map(), [peer('a'), offer])
  t.strictSame(known.get(timeKey(sampler)), told[0]!.samples, 'by the name that it has there')
  t.equal(known.get(timeKey({ ...sampler, peerId: 'id-a' })), undefined)
  const own = [{ work: 20, elapsedMs: 3 }]
  const both = knownTimes(new Map([[timeKey(sampler), own]]), [offer])
  t.equal(both.get(timeKey(sampler)), own)
})
