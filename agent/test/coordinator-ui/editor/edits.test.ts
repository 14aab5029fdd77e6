/** What single edits make of a workflow. */
import { type JsonObject, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { copyNodes, pasteNodes } from '../../../../coordinator-ui/src/state/editor/clipboard.ts'
import {
  emptyWorkflow,
  linksOf,
  nextIds,
  nodeOf,
  type Workflow,
} from '../../../../coordinator-ui/src/state/editor/document.ts'
import {
  connect,
  connectToNode,
  removeLinks,
} from '../../../../coordinator-ui/src/state/editor/edit-links.ts'
import {
  addNode,
  removeNodes,
  setTitle,
  toggleCollapsed,
  toggleMode,
} from '../../../../coordinator-ui/src/state/editor/edit-nodes.ts'
import {
  addPoint,
  movePoint,
  removePoint,
} from '../../../../coordinator-ui/src/state/editor/edit-points.ts'
import {
  afterRun,
  setAfterRun,
  setWidget,
} from '../../../../coordinator-ui/src/state/editor/edit-widgets.ts'
import { canConnect } from '../../../../coordinator-ui/src/state/editor/fitting-links.ts'
import {
  amended,
  ended,
  redone,
  startHistory,
  step,
  undone,
} from '../../../../coordinator-ui/src/state/editor/history.ts'
import { linkRoutes, segmentAt } from '../../../../coordinator-ui/src/state/editor/link-routes.ts'
import { newNode } from '../../../../coordinator-ui/src/state/editor/new-node.ts'
import { viewById } from '../../../../coordinator-ui/src/state/editor/node-view.ts'
import { definitions, drawing, promptOf } from './workflows.ts'

const AT = { x: 0, y: 0 }
/** A workflow of these types, with the ids 1, 2, ... */
function workflowOf(...types: readonly string[]): Workflow {
  return types.reduce(
    (workflow, type) => addNode(workflow, newNode(type, AT, definitions)!).workflow,
    emptyWorkflow(),
  )
}

const link = (workflow: Workflow, from: string, slot: number, to: string, key: string): Workflow =>
  connect(workflow, { nodeId: from, slot }, { nodeId: to, key }, definitions)
const set = (workflow: Workflow, nodeId: string, name: string, value: number | bigint | string) =>
  setWidget(workflow, { nodeId, name }, value, definitions)

t.test("the default graph, built from nothing, is ComfyUI's default prompt", async (t) => {
  let workflow = workflowOf(
    'CheckpointLoaderSimple',
    'CLIPTextEncode',
    'CLIPTextEncode',
    'EmptyLatentImage',
    'KSampler',
    'VAEDecode',
    'SaveImage',
  )
  for (const [from, slot, to, key] of [
    ['1', 0, '5', 'model'],
    ['1', 1, '2', 'clip'],
    ['1', 1, '3', 'clip'],
    ['2', 0, '5', 'positive'],
    ['3', 0, '5', 'negative'],
    ['4', 0, '5', 'latent_image'],
    ['5', 0, '6', 'samples'],
    ['1', 2, '6', 'vae'],
    ['6', 0, '7', 'images'],
  ] as const) {
    workflow = link(workflow, from, slot, to, key)
  }
  const basic = drawing('basic.json')
  workflow = set(workflow, '1', 'ckpt_name', 'v1-5-pruned-emaonly-fp16.safetensors')
  const wanted = promptOf(basic)
  for (const [id, { inputs }] of Object.entries(wanted)) {
    for (const [name, value] of Object.entries(inputs)) {
      if (!Array.isArray(value)) workflow = set(workflow, id, name, value as string)
    }
  }
  const withoutTitles = (prompt: typeof wanted) =>
    Object.fromEntries(Object.entries(prompt).map(([id, { _meta, ...node }]) => [id, node]))
  t.strictSame(withoutTitles(promptOf(workflow)), withoutTitles(wanted))
})

t.test('links', async (t) => {
  const workflow = workflowOf('CheckpointLoaderSimple', 'KSampler', 'VAEDecode', 'KSampler')

  t.test('only types that fit are linked', async (t) => {
    const from = { nodeId: '1', slot: 0 }
    t.ok(canConnect(workflow, from, { nodeId: '2', key: 'model' }, definitions))
    t.notOk(canConnect(workflow, from, { nodeId: '2', key: 'positive' }, definitions))
    t.equal(link(workflow, '1', 0, '2', 'positive'), workflow)
    t.equal(link(workflow, '1', 9, '2', 'model'), workflow)
    t.equal(link(workflow, '9', 0, '2', 'model'), workflow)
  })

  t.test('no circle is drawn', async (t) => {
    const chain = link(workflow, '2', 0, '4', 'latent_image')
    t.equal(link(chain, '4', 0, '2', 'latent_image'), chain)
    t.equal(link(chain, '4', 0, '4', 'latent_image'), chain)
  })

  t.test('a new link takes the place of the one before', async (t) => {
    const first = link(workflow, '2', 0, '3', 'samples')
    const second = link(first, '4', 0, '3', 'samples')
    t.strictSame(
      linksOf(second).map(({ originId }) => originId),
      ['4'],
    )
    const [output] = nodeOf(second, '2')!.outputs as JsonObject[]
    t.strictSame(output!.links, [])
    t.equal(link(second, '4', 0, '3', 'samples'), second, 'the same link again is no edit')
  })

  t.test('a widget takes a link in the place of its value', async (t) => {
    const both = workflowOf('KSampler', 'PrimitiveInt')
    const linked = link(both, '2', 0, '1', 'steps')
    t.strictSame(promptOf(linked)['1']!.inputs.steps, ['2', 0])
    const cut = removeLinks(linked, new Set(linksOf(linked).map(({ id }) => id)))
    t.equal(promptOf(cut)['1']!.inputs.steps, 20)
  })

  t.test('a loose end finds the socket that fits', async (t) => {
    const loose = { side: 'output', type: 'VAE', from: { nodeId: '1', slot: 2 } } as const
    const linked = connectToNode(workflow, loose, '3', definitions)
    t.equal(viewById(linked, '3', definitions)!.inputs[1]!.linkId, '1')
    const end = { side: 'input', type: 'MODEL', to: { nodeId: '2', key: 'model' } } as const
    t.equal(linksOf(connectToNode(workflow, end, '1', definitions))[0]!.originSlot, 0)
  })

  t.test('links are written as those of the file are', async (t) => {
    const first = drawing('schema_v1.json')
    const cut = removeLinks(first, new Set(['9']))
    const again = link(cut, '6', 0, '7', 'images')
    t.strictSame((again.links as JsonObject[]).at(-1), {
      id: 10,
      origin_id: 6,
      origin_slot: 0,
      target_id: 7,
      target_slot: 0,
      type: 'IMAGE',
    })
    t.equal((again.state as JsonObject).lastLinkId, 10)
    t.notOk('last_link_id' in again)
  })

  t.test('with a link go the points that only it went through', async (t) => {
    const cut = removeLinks(drawing('native_reroutes.json'), new Set(['9']))
    t.strictSame(cut.extra, { linkExtensions: [] })
  })
})

t.test('nodes', async (t) => {
  t.test('ids are never given twice, not even those of subgraphs', async (t) => {
    const workflow = drawing('subgraph.json')
    t.equal(nextIds(workflow).node, 52)
    const { workflow: added, id } = addNode(workflow, newNode('VAEDecode', AT, definitions)!)
    t.equal(id, '52')
    t.equal(added.last_node_id, 52)
  })

  t.test('what is taken away leaves no link behind', async (t) => {
    const workflow = drawing('basic.json')
    const left = removeNodes(workflow, new Set(['5']))
    t.ok(linksOf(left).every(({ originId, targetId }) => originId !== '5' && targetId !== '5'))
    t.notMatch(stringifyJson(nodeOf(left, '6')!.inputs), /"link":7/)
  })

  t.test('modes, collapsing and titles come and go', async (t) => {
    const workflow = drawing('basic.json')
    const ids = new Set(['5', '6'])
    const muted = toggleMode(workflow, ids, 'muted')
    t.equal(viewById(muted, '5', definitions)!.mode, 'muted')
    t.notOk('5' in promptOf(muted))
    t.strictSame(toggleMode(muted, ids, 'muted'), workflow)
    t.strictSame(toggleCollapsed(toggleCollapsed(workflow, ids), ids), workflow)
    t.strictSame(setTitle(setTitle(workflow, '5', 'mine'), '5', ''), workflow)
  })

  t.test('a copy brings its links, and its subgraphs into another workflow', async (t) => {
    const workflow = drawing('subgraph.json')
    const copy = copyNodes(workflow, new Set(['1', '10']))
    t.equal(linksOf(copy).length, 2)
    const { workflow: pasted, ids } = pasteNodes(emptyWorkflow(), copy, { x: 100, y: 50 })
    t.strictSame(pasted.definitions, workflow.definitions)
    t.equal(ids.size, 2)
    t.strictSame(
      [...ids].map((id) => viewById(pasted, id, definitions)!.position),
      [
        { x: 100, y: 50 },
        { x: 550, y: 50 },
      ],
    )
    t.equal(linksOf(pasted).length, 2)
    const twice = pasteNodes(workflow, copy).workflow
    t.strictSame(twice.definitions, workflow.definitions, 'what is there is not there twice')
  })
})

t.test('widgets', async (t) => {
  t.test('a value is written where the file keeps it', async (t) => {
    const workflow = drawing('basic.json')
    const seed = 18446744073709551615n
    const changed = set(set(workflow, '5', 'seed', seed), '5', 'steps', 7)
    t.strictSame(nodeOf(changed, '5')!.widgets_values, [
      seed,
      'fixed',
      7,
      7.5,
      'euler',
      'normal',
      1,
    ])
    t.equal(promptOf(changed)['5']!.inputs.seed, seed)
    t.equal(set(changed, '5', 'steps', 7), changed, 'the same value is no edit')
    t.equal(set(changed, '5', 'no such', 7), changed)
  })

  t.test('values that a file is short of are those that were shown', async (t) => {
    const { workflow } = addNode(emptyWorkflow(), { type: 'KSampler' })
    t.strictSame(nodeOf(set(workflow, '1', 'cfg', 3), '1')!.widgets_values, [0, 'fixed', 20, 3])
  })

  t.test('after a run seeds are what the user wants them to be', async (t) => {
    const workflow = set(workflowOf('KSampler'), '1', 'seed', 41)
    const next = (how: string) => {
      const wanted = setAfterRun(workflow, { nodeId: '1', name: 'seed' }, how, definitions)
      return promptOf(afterRun(wanted, definitions, () => 0.5))['1']!.inputs.seed
    }
    t.equal(next('fixed'), 41)
    t.equal(next('increment'), 42)
    t.equal(next('decrement'), 40)
    t.equal(next('randomize'), 2 ** 49)
    const last = set(workflow, '1', 'seed', 2n ** 64n - 1n)
    const wanted = setAfterRun(last, { nodeId: '1', name: 'seed' }, 'increment', definitions)
    const seed = promptOf(afterRun(wanted, definitions, () => 0))['1']!.inputs.seed
    t.equal(seed, 2n ** 64n - 1n, 'and stay in their range')
  })

  t.test('another choice asks for other values, and keeps those of the same name', async (t) => {
    const dynamic = {
      ...definitions,
      Choosing: {
        ...definitions.KSampler!,
        input: {
          required: {
            model: [
              'COMFY_DYNAMICCOMBO_V3',
              {
                options: [
                  { key: 'one', inputs: { required: { size: ['INT', { default: 1 }] } } },
                  {
                    key: 'two',
                    inputs: { required: { size: ['INT', { default: 2 }], name: ['STRING', {}] } },
                  },
                ],
              },
            ],
            last: ['INT', { default: 9 }],
          },
        },
        input_order: {},
      },
    } as unknown as typeof definitions
    const { workflow } = addNode(emptyWorkflow(), {
      type: 'Choosing',
      widgets_values: ['one', 5, 8],
    })
    const chosen = setWidget(workflow, { nodeId: '1', name: 'model' }, 'two', dynamic)
    t.strictSame(nodeOf(chosen, '1')!.widgets_values, ['two', 5, '', 8])
    const back = setWidget(chosen, { nodeId: '1', name: 'model' }, 'one', dynamic)
    t.strictSame(nodeOf(back, '1')!.widgets_values, ['one', 5, 8])
  })
})

t.test('history', async (t) => {
  t.test('edits of one topic in a row are one step', async (t) => {
    let history = startHistory('')
    for (const text of ['a', 'ab', 'abc']) history = step(history, text, 'text')
    t.equal(undone(history).present, '')
    history = step(ended(history), 'abcd', 'text')
    t.equal(undone(history).present, 'abc')
    t.equal(undone(undone(history)).present, '')
  })

  t.test('it goes back, forth, and not beyond', async (t) => {
    const start = startHistory(0)
    t.equal(undone(start), start)
    t.equal(redone(start).present, 0)
    const two = step(step(start, 1), 2)
    t.equal(redone(undone(two)).present, 2)
    t.strictSame(step(undone(two), 3).future, [], 'another way on ends the old one')
    t.equal(undone(amended(two, 5)).present, 1)
    t.equal(step(two, 2), two)
  })

  t.test('it is bounded', async (t) => {
    let history = startHistory(0)
    for (let count = 1; count <= 500; count++) history = step(history, count)
    t.equal(history.past.length, 200)
    t.equal(history.past[0], 300)
  })
})

t.test('a primitive becomes the widget that it is linked to', async (t) => {
  const start = set(workflowOf('KSampler', 'PrimitiveNode', 'EmptyLatentImage'), '1', 'steps', 12)
  t.strictSame(viewById(start, '2', definitions)!.widgets, [])
  const linked = link(start, '2', 0, '1', 'steps')
  t.match(nodeOf(linked, '2'), {
    widgets_values: [12, 'fixed'],
    outputs: [{ name: 'INT', type: 'INT', widget: { name: 'steps' }, links: [1] }],
  })
  t.match(linksOf(linked), [{ originId: '2', targetId: '1', type: 'INT' }])
  const changed = set(linked, '2', 'steps', 7)
  t.equal(promptOf(changed)['1']!.inputs.steps, 7)

  t.test('and of more of its kind, but of nothing else', async (t) => {
    const both = link(changed, '2', 0, '3', 'width')
    t.equal(linksOf(both).length, 2)
    const can = (nodeId: string, key: string) =>
      canConnect(changed, { nodeId: '2', slot: 0 }, { nodeId, key }, definitions)
    t.ok(can('3', 'height'))
    for (const key of ['model', 'cfg', 'sampler_name']) t.notOk(can('1', key), key)
  })

  t.test('until nothing is linked to it', async (t) => {
    const free = removeLinks(changed, new Set(['1']))
    const { outputs } = nodeOf(free, '2') as { outputs: JsonObject[] }
    t.strictSame(outputs, [{ name: 'connect to widget input', type: '*', links: [] }])
    const again = link(free, '2', 0, '1', 'seed')
    t.equal(viewById(again, '2', definitions)!.widgets[0]!.value, 7, 'what was set stays')
    const named = link(free, '2', 0, '1', 'sampler_name')
    t.match(nodeOf(named, '2'), { widgets_values: ['euler', 'fixed'] })
  })
})

t.test('links are led around points', async (t) => {
  const places = (workflow: Workflow, linkId: string) =>
    linkRoutes(workflow)
      .get(linkId)
      ?.map(({ x, y }) => [x, y])
  for (const name of ['basic.json', 'schema_v1.json']) {
    const start = drawing(name)
    const [{ id } = { id: '' }] = linksOf(start)
    const one = addPoint(start, id, 0, { x: 10.4, y: 20 })
    const two = addPoint(one, id, 0, { x: 5, y: 6 })
    const three = addPoint(two, id, 2, { x: 30, y: 40 })
    t.strictSame(places(three, id), [
      [5, 6],
      [10, 20],
      [30, 40],
    ])
    const ids = linkRoutes(three)
      .get(id)!
      .map((point) => point.id)
    t.strictSame(places(movePoint(three, ids[1]!, { x: 1, y: 2 }), id)![1], [1, 2])
    const less = removePoint(three, ids[1]!)
    t.strictSame(places(less, id), [
      [5, 6],
      [30, 40],
    ])
    const none = [ids[0]!, ids[2]!].reduce(removePoint, less)
    t.equal(places(none, id), undefined)
    t.strictSame(promptOf(three), promptOf(start), `${name}: they have no effect`)
    t.equal(places(removeLinks(three, new Set([id])), id), undefined)
  }

  t.test('what else is said of a link stays', async (t) => {
    const start = drawing('basic.json')
    const [{ id } = { id: '' }, { id: other } = { id: '' }] = linksOf(start)
    const extensions = [
      { id: Number(id), note: 'kept' },
      { id: Number(other), colour: 'red' },
    ]
    const told = { ...start, extra: { linkExtensions: extensions } }
    const extensionsOf = ({ extra }: Workflow) => (extra as JsonObject).linkExtensions
    const led = addPoint(told, id, 0, { x: 1, y: 2 })
    const [point] = linkRoutes(led).get(id)!
    t.strictSame(extensionsOf(led), [
      { ...extensions[0], parentId: Number(point!.id) },
      extensions[1],
    ])
    t.strictSame(extensionsOf(removePoint(led, point!.id)), extensions)
  })

  t.test('a point that stays where it is changes nothing', async (t) => {
    for (const name of ['basic.json', 'schema_v1.json']) {
      const start = drawing(name)
      const [{ id } = { id: '' }] = linksOf(start)
      const led = addPoint(start, id, 0, { x: 10, y: 20 })
      const [point] = linkRoutes(led).get(id)!
      t.equal(movePoint(led, point!.id, { x: 10, y: 20.4 }), led)
      t.not(movePoint(led, point!.id, { x: 10, y: 21 }), led)
    }
  })

  t.test('a place is between the two that it lies between', async (t) => {
    const points = [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
      { x: 100, y: 100 },
    ]
    t.equal(segmentAt(points, { x: 50, y: 3 }), 0)
    t.equal(segmentAt(points, { x: 98, y: 60 }), 1)
  })
})
