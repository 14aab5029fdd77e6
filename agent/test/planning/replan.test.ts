/** What is left of a job, without the peers that failed it. */
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { replan } from '../../src/planning/replan.ts'
import { inputOf, peer, plan, reasons, separateFiles, shape } from './meshes.ts'

const prompt = separateFiles()
const encoder = { has: ['clip.safetensors', 'vae.safetensors'] }
const sampler = { has: ['unet.safetensors'] }
const peers = [peer('front', { has: [] }), peer('a', encoder), peer('b', sampler)]
const first = plan(prompt, peers)

function again(
  progress: {
    finished?: [stage: number, holders: string[]][]
    failed?: string[]
    running?: number[]
  },
  mesh = [...peers, peer('spare-a', encoder), peer('spare-b', sampler)],
  before: Plan = first,
): Plan {
  const { finished = [], failed = [], running = [] } = progress
  const isTrusted = (id: string) => !failed.includes(id)
  const held = finished.flatMap(([stage, holders]) =>
    before.stages[stage]!.outputs.map((output) => ({
      ...output,
      peerIds: holders.filter(isTrusted),
    })),
  )
  const excluded = new Map(failed.map((id) => [id, 'failed this job: the runner died']))
  const going = new Set(running.map((stage) => before.stages[stage]!.id))
  return replan({ ...inputOf(prompt, mesh), held, excluded }, { plan: before, running: going })
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

t.test('what a peer made before it failed is fetched from it', async (t) => {
  const [{ outputs } = { outputs: [] }] = first.stages
  const held = outputs.map((output) => ({ ...output, peerIds: ['id-a'] }))
  const excluded = new Map([['id-a', 'ran out of memory']])
  const mesh = [...peers, peer('spare-a', encoder)]
  const made = replan(
    { ...inputOf(prompt, mesh), held, excluded },
    { plan: first, running: new Set() },
  )
  t.equal(shape(made), 'b: latent sample | spare-a: decode save')
})

t.test('what runs on elsewhere stays as it is, and the rest waits for it', async (t) => {
  const made = again({ running: [0], failed: ['id-b'] })
  t.equal(shape(made), 'a: neg pos | spare-b: latent sample | a: decode save')
  t.strictSame(made.stages[0], first.stages[0])
  t.strictSame(made.placements[0], first.placements[0])
  t.strictSame(made.stages[1]!.after, [first.stages[0]!.id])
  const sources = made.edges.map(({ nodeId, from }) => [nodeId, from])
  t.strictSame(sources, [
    ['pos', first.stages[0]!.id],
    ['neg', first.stages[0]!.id],
    ['sample', made.stages[1]!.id],
  ])
  const gone = again({ running: [0] }, [peers[0]!, peers[2]!, peer('spare-a', encoder)])
  t.equal(
    shape(gone),
    'spare-a: neg pos | b: latent sample | spare-a: decode save',
    'nobody waits for a peer that is away',
  )
})
