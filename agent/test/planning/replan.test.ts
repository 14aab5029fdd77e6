/** What is left of a job, without the peers that failed it. */
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { replan } from '../../src/planning/replan.ts'
import { inputOf, manyPictures, peer, plan, reasons, separateFiles, shape } from './meshes.ts'

const prompt = separateFiles()
const encoder = { has: ['clip.safetensors', 'vae.safetensors'] }
const sampler = { has: ['unet.safetensors'] }
const peers = [peer('front', { has: [] }), peer('a', encoder), peer('b', sampler)]
const first = plan(prompt, peers)

function again(
  progress: { finished?: [stage: number, holders: string[]][]; failed?: string[] },
  mesh = [...peers, peer('spare-a', encoder), peer('spare-b', sampler)],
  before: Plan = first,
): Plan {
  return replan(inputOf(prompt, mesh), {
    plan: before,
    finished: new Map(
      (progress.finished ?? []).map(([stage, holders]) => [before.stages[stage]!.id, holders]),
    ),
    failures: new Map((progress.failed ?? []).map((id) => [id, 'the runner died'])),
  })
}

t.equal(shape(first), 'a: neg pos | b: latent sample | a: decode save')

t.test('nothing finished: everything, without the peer that failed', async (t) => {
  const made = again({ failed: ['id-b'] })
  t.equal(shape(made), 'a: neg pos | spare-b: latent sample | a: decode save')
  t.equal(reasons(made, 1).b, 'failed this job: the runner died')
})

t.test('what is finished is used where it lies', async (t) => {
  const made = again({ finished: [[0, ['id-a']]], failed: ['id-b'] })
  t.equal(shape(made), 'spare-b: latent sample | a: decode save')
  const fetched = made.edges.filter(({ from }) => from === undefined)
  t.match(fetched, [
    { nodeId: 'pos', type: 'CONDITIONING', travels: true },
    { nodeId: 'neg', type: 'CONDITIONING', travels: true },
  ])
  t.equal(made.stages[0]!.id, first.stages[1]!.id, 'the same work under the same id')
  const rest = again({
    finished: [
      [0, ['id-a']],
      [1, ['id-b', 'id-a']],
    ],
  })
  t.equal(shape(rest), 'a: decode save')
  t.strictSame(
    rest.edges.map(({ nodeId, travels }) => [nodeId, travels]),
    [['sample', false]],
    'a holds it already',
  )
})

t.test('what only the failed peer held is made again', async (t) => {
  const made = again({ finished: [[0, ['id-a']]], failed: ['id-a'] })
  t.equal(shape(made), 'spare-a: neg pos | b: latent sample | spare-a: decode save')
  const late = again({
    finished: [
      [0, ['id-a']],
      [1, ['id-b']],
    ],
    failed: ['id-a'],
  })
  t.equal(shape(late), 'spare-a: decode save', 'but not what nothing needs any more')
})

t.test('nobody is left', async (t) => {
  t.throws(() => again({ failed: ['id-b'] }, peers), {
    code: 'no_peer',
    message: /front, a: lacks model unet.safetensors; b: failed this job: the runner died/,
  })
})

t.test('finished outputs are not made again', async (t) => {
  const pictures = manyPictures(4)
  const twins = [peer('a', { gflops: 1000 }), peer('b', { gflops: 1000 })]
  const shared = plan(pictures, twins)
  const ofB = shared.stages.filter((_, i) => shared.placements[i]!.peerName === 'b')
  const finished = new Map(ofB.map(({ id }) => [id, ['id-b']]))
  const left = replan(inputOf(pictures, twins), { plan: shared, finished, failures: new Map() })
  const outputs = (made: Plan) =>
    made.stages.flatMap(({ nodes }) => nodes.filter(({ classType }) => classType === 'SaveImage'))
  const done = ofB.flatMap(({ nodes }) =>
    nodes.filter(({ classType }) => classType === 'SaveImage'),
  )
  t.ok(done.length > 0)
  t.equal(outputs(left).length, 4 - done.length)
})
