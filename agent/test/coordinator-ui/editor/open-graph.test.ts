/** The insides of subgraphs: seen and edited as drawings are, and nothing of the file is lost. */
import { stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { copyNodes, pasteNodes } from '../../../../coordinator-ui/src/state/editor/clipboard.ts'
import {
  linksOf,
  nodeOf,
  nodesOf,
  subgraphsOf,
} from '../../../../coordinator-ui/src/state/editor/document.ts'
import { connect, removeLinks } from '../../../../coordinator-ui/src/state/editor/edit-links.ts'
import { addNode, moveNodes } from '../../../../coordinator-ui/src/state/editor/edit-nodes.ts'
import { addPoint, movePoint } from '../../../../coordinator-ui/src/state/editor/edit-points.ts'
import { setWidget } from '../../../../coordinator-ui/src/state/editor/edit-widgets.ts'
import { newNode } from '../../../../coordinator-ui/src/state/editor/new-node.ts'
import { nodeView, viewById } from '../../../../coordinator-ui/src/state/editor/node-view.ts'
import {
  graphAt,
  instanceCount,
  opened,
  pathTitles,
  withEveryGraph,
  withGraphAt,
} from '../../../../coordinator-ui/src/state/editor/open-graph.ts'
import { drawnIn, placeOf } from '../../../../coordinator-ui/src/state/editor/prompt-places.ts'
import { definitions, drawing, parsed, promptOf } from './workflows.ts'

const INSIDE = ['10']

t.test('an inside is a drawing with its sockets as nodes', async (t) => {
  const workflow = drawing('subgraph.json')
  const inside = graphAt(workflow, INSIDE)
  t.equal(graphAt(workflow, INSIDE), inside, 'the same one each time')
  t.strictSame(pathTitles(workflow, INSIDE), ['Sampler+Decode'])
  const inputs = viewById(inside, '-10', definitions)!
  t.match(inputs, { kind: 'sockets', title: 'Inputs', inputs: [], widgets: [] })
  t.strictSame(
    inputs.outputs.map(({ name, isLinked }) => [name, isLinked]),
    ['model', 'positive', 'negative', 'latent_image', 'vae', 'steps'].map((name) => [name, true]),
  )
  t.match(viewById(inside, '-20', definitions)!.inputs, [{ label: 'IMAGE', linkId: '111' }])
  t.equal(graphAt(workflow, ['10', '50']), inside, 'a node that is no subgraph leads nowhere')
  t.equal(graphAt(workflow, ['nobody']), workflow)
})

t.test('an edit inside is an edit of the document, and of nothing else in it', async (t) => {
  const workflow = drawing('subgraph.json')
  const edited = withGraphAt(workflow, INSIDE, (graph) =>
    setWidget(graph, { nodeId: '50', name: 'cfg' }, 3, definitions),
  )
  t.equal(promptOf(edited)['10:50']!.inputs.cfg, 3)
  const [before, after] = [workflow, edited].map((one) => subgraphsOf(one)[0]!)
  t.strictSame({ ...edited, definitions: 0 }, { ...workflow, definitions: 0 })
  t.strictSame({ ...after, nodes: 0 }, { ...before, nodes: 0 })
  t.strictSame(
    nodesOf(after!).filter(({ id }) => id !== 50),
    nodesOf(before!).filter(({ id }) => id !== 50),
  )
  t.equal(
    withGraphAt(workflow, INSIDE, (graph) => graph),
    workflow,
  )
})

t.test('links to the sockets are cut and drawn again', async (t) => {
  const workflow = drawing('subgraph.json')
  const cut = withGraphAt(workflow, INSIDE, (graph) => removeLinks(graph, new Set(['100'])))
  const [model] = subgraphsOf(cut)[0]!.inputs as { linkIds: number[] }[]
  t.strictSame(model!.linkIds, [])
  t.notOk(promptOf(cut)['10:50']!.inputs.model)
  const again = withGraphAt(cut, INSIDE, (graph) =>
    connect(graph, { nodeId: '-10', slot: 0 }, { nodeId: '50', key: 'model' }, definitions),
  )
  t.strictSame(promptOf(again), promptOf(workflow))
  const definition = subgraphsOf(again)[0]!
  const link = linksOf(definition).at(-1)!
  t.strictSame((definition.inputs as { linkIds: number[] }[])[0]!.linkIds, [Number(link.id)])
  t.match(link, { originId: '-10', originSlot: 0, targetId: '50' })
  t.ok(Number(again.last_link_id) >= Number(link.id), 'the id is taken in the whole document')
})

t.test('what is added inside has an id of its own in the whole document', async (t) => {
  const workflow = drawing('subgraph_two_instances.json')
  const node = newNode('EmptyLatentImage', { x: 0, y: 0 }, definitions)!
  let id = ''
  const [path] = nodesOf(workflow)
    .filter(({ type }) => subgraphsOf(workflow).some((one) => one.id === type))
    .map((instance) => [String(instance.id)])
  const added = withGraphAt(workflow, path!, (graph) => {
    const result = addNode(graph, node)
    id = result.id
    return result.workflow
  })
  t.equal(instanceCount(added, opened(added, path!)[0]!), 2)
  t.equal(nodeOf(added, id), undefined)
  t.ok(nodeOf(graphAt(added, path!), id))
  t.ok(Number(added.last_node_id) >= Number(id))
  const moved = withGraphAt(added, path!, (graph) =>
    moveNodes(graph, new Map([['-20', { x: 700, y: 90 }]])),
  )
  const { outputNode } = opened(moved, path!)[0]! as { outputNode: { bounding: number[] } }
  t.strictSame(outputNode.bounding.slice(0, 2), [700, 60], 'sockets are moved, too')
  t.match(nodeView(nodeOf(graphAt(moved, path!), '-20')!, moved, definitions).position, {
    x: 700,
    y: 90,
  })
})

t.test('a point inside raises its own counter, and no other', async (t) => {
  const workflow = drawing('subgraph_two_instances.json')
  const [definition] = subgraphsOf(workflow)
  const state = { lastGroupId: 0, lastNodeId: 3, lastLinkId: 4, lastRerouteId: 6, other: 'kept' }
  const counted = { ...workflow, definitions: { subgraphs: [{ ...definition, state }] } }
  const path = [String(nodesOf(workflow).find(({ type }) => type === definition!.id)!.id)]
  const [{ id } = { id: '' }] = linksOf(definition!)
  const led = withGraphAt(counted, path, (graph) => addPoint(graph, id, 0, { x: 1, y: 2 }))
  t.strictSame(subgraphsOf(led)[0]!.state, { ...state, lastRerouteId: 7 })
  t.strictSame({ ...led, definitions: 0 }, { ...workflow, definitions: 0 }, 'no id was given out')
  const again = withGraphAt(led, path, (graph) => movePoint(graph, '7', { x: 1, y: 2 }))
  t.equal(again, led, 'it stands there already')
})

t.test('a subgraph is not pasted into itself', async (t) => {
  const workflow = drawing('subgraph.json')
  const copy = copyNodes(workflow, new Set(INSIDE))
  const inside = graphAt(workflow, INSIDE)
  const pasted = pasteNodes(inside, copy)
  t.equal(pasted.workflow, inside)
  t.match(pasted.refusal, /“Sampler\+Decode”.*cannot contain itself/)
  t.equal(pasteNodes(workflow, copy).refusal, undefined)

  const outer = { id: 'outer', name: 'Outer', nodes: [nodeOf(workflow, '10')!], links: [] }
  const nested = {
    ...copy,
    nodes: [{ id: 1, type: 'outer', pos: [0, 0] }],
    definitions: { subgraphs: [outer] },
  }
  t.ok(pasteNodes(inside, nested).refusal, 'nor inside of another one')
  t.equal(pasteNodes(inside, copyNodes(inside, new Set(['50']))).refusal, undefined)
})

t.test('every graph is changed by a run', async (t) => {
  const workflow = drawing('subgraph.json')
  const titled = withEveryGraph(workflow, (graph) => ({ ...graph, touched: true }))
  t.ok(titled.touched)
  t.ok(subgraphsOf(titled).every(({ touched }) => touched === true))
  t.equal(
    withEveryGraph(workflow, (graph) => graph),
    workflow,
  )
  t.strictSame(parsed(stringifyJson(workflow)), parsed(stringifyJson(drawing('subgraph.json'))))
})

t.test('nodes of a prompt are found where they are drawn', async (t) => {
  const workflow = drawing('subgraph.json')
  t.strictSame(placeOf(workflow, '10:50'), { path: ['10'], id: '50' })
  t.strictSame(placeOf(workflow, '7'), { path: [], id: '7' })
  t.equal(drawnIn(workflow, [])('10:50'), '10')
  t.equal(drawnIn(workflow, INSIDE)('10:50'), '50')
  t.equal(drawnIn(workflow, INSIDE)('7'), undefined)
})
