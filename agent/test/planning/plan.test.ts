/** From prompt to stages and placements. */
import { minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { executionOrder } from '../../src/planning/graph.ts'
import type { PeerOffer } from '../../src/planning/place.ts'
import { planJob } from '../../src/planning/plan.ts'
import { signaturesOf } from '../../src/planning/signature.ts'
import { testDefinitions } from '../fake-executor.ts'

const int = (value: number) => ({ class_type: 'TN_Int', inputs: { value } })
const out = (from: string) => ({ class_type: 'TN_Out', inputs: { x: [from, 0] } })
const add = (a: string, b: string) => ({ class_type: 'TN_Add', inputs: { a: [a, 0], b: [b, 0] } })

const graphOf = (prompt: object, definitions = testDefinitions) => ({
  prompt: prompt as Prompt,
  definitions,
})

function peer(name: string, definitions: NodeDefinitions = testDefinitions): PeerOffer {
  const advertisement = minimalAdvertisement({ peerId: `id-${name}`, name, version: '0.1.0' })
  const judgedInputs = (classType: string) => (classType === 'LoadImage' ? ['image'] : [])
  return { advertisement, definitions, judgedInputs }
}

function plan(prompt: object, outputs: string[], peers: PeerOffer[]) {
  const graph = graphOf(prompt)
  const signatures = signaturesOf(graph, executionOrder(graph, outputs), new Map())
  return planJob({ graph, outputs, signatures, peers })
}

t.test('order of execution', async (t) => {
  const order = (prompt: object, outputs: string[]) => executionOrder(graphOf(prompt), outputs)
  t.strictSame(order({ 1: int(1), 2: add('1', '1'), 3: out('2'), 9: int(9) }, ['3']), [
    '1',
    '2',
    '3',
  ])
  const two = { 1: int(1), 4: int(4), 2: add('1', '4'), 3: out('2'), 5: add('2', '2'), 6: out('5') }
  t.strictSame(order(two, ['3', '6']), ['4', '1', '2', '3', '5', '6'], 'as in the transcript')
  const near = { 1: int(1), 2: int(2), 3: add('1', '1'), 4: out('2'), 5: out('3') }
  t.strictSame(order(near, ['4', '5']), ['2', '4', '1', '3', '5'], 'what an output waits for')
  t.strictSame(order({ 1: int(1), 2: out('1') }, []), [])
  const ignored = {
    1: int(1),
    2: { ...out('1'), inputs: { x: ['1', 0], other: ['9', 0] } },
    9: int(9),
  }
  t.strictSame(order(ignored, ['2']), ['1', '2'], 'inputs that no class declares lead nowhere')
})

t.test('a long chain is ordered without deep recursion', async (t) => {
  const prompt: Record<string, object> = { 0: int(1) }
  for (let i = 1; i < 5000; i++) prompt[i] = add(String(i - 1), String(i - 1))
  prompt.out = out('4999')
  t.equal(executionOrder(graphOf(prompt), ['out']).length, 5001)
})

t.test('one peer, one stage', async (t) => {
  const prompt = { 1: int(1), 2: { ...out('1'), inputs: { x: ['1', 0], unknown: 5 } }, 9: int(2) }
  const { stages, placements } = plan(prompt, ['2'], [peer('desk')])
  t.equal(stages.length, 1)
  t.match(stages[0], {
    index: 0,
    after: [],
    outputs: [],
    nodes: [
      { id: '1', classType: 'TN_Int', inputs: { value: 1 } },
      { id: '2', classType: 'TN_Out', inputs: { x: ['1', 0] } },
    ],
  })
  t.strictSame(Object.keys(stages[0]!.nodes[1]!.inputs), ['x'])
  t.strictSame(placements, [
    {
      stageId: stages[0]!.id,
      peerId: 'id-desk',
      peerName: 'desk',
      reason: 'the only peer of the mesh; it runs every node, so nothing travels',
      rejected: [],
    },
  ])
})

t.test('nothing to run, no stage', async (t) => {
  t.strictSame(plan({ 1: int(1), 2: out('1') }, [], [peer('desk')]), { stages: [], placements: [] })
})

t.test('peers that cannot are rejected with what they lack', async (t) => {
  const { TN_Int: _, ...withoutInt } = testDefinitions
  const loader = testDefinitions.CheckpointLoaderSimple!
  const input = {
    required: { ckpt_name: [['other.safetensors'], {}] },
  } as unknown as typeof loader.input
  const withoutModel = { ...testDefinitions, CheckpointLoaderSimple: { ...loader, input } }
  const prompt = {
    1: {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: 'v1-5-pruned-emaonly-fp16.safetensors' },
    },
    2: { class_type: 'TN_Model', inputs: { model: ['1', 0] } },
    3: int(1),
    4: out('3'),
    5: { class_type: 'LoadImage', inputs: { image: 'mine.png' } },
    6: { class_type: 'PreviewImage', inputs: { images: ['5', 0] } },
  }
  const outputs = ['2', '4', '6']
  const lacking = [peer('old', withoutInt), peer('small', withoutModel)]
  const { placements } = plan(prompt, outputs, [...lacking, peer('big'), peer('spare')])
  t.equal(placements[0]!.peerName, 'big')
  t.strictSame(
    placements[0]!.rejected.map(({ peerName, reason }) => [peerName, reason]),
    [
      ['old', 'lacks node class TN_Int'],
      ['small', 'lacks model v1-5-pruned-emaonly-fp16.safetensors'],
      ['spare', 'able, but big comes first'],
    ],
  )
  t.throws(() => plan(prompt, outputs, lacking), {
    code: 'no_peer',
    message:
      'No peer can run this prompt: old lacks node class TN_Int; small lacks model v1-5-pruned-emaonly-fp16.safetensors.',
  })
})
