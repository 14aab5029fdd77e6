/** Workflow to prompt: what the official frontend made of the same workflows. */
import { readdirSync, readFileSync } from 'node:fs'
import {
  type ConversionOptions,
  type ConvertedPrompt,
  convertWorkflow,
} from '@comfymesh/protocol/convert/convert-workflow'
import { type JsonObject, type JsonValue, parseJson } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { goldenDocument } from '../goldens.ts'

interface Vector {
  readonly name: string
  readonly input: JsonValue
  readonly output: ConvertedPrompt
}

const core = goldenDocument<{ nodes: NodeDefinitions; extra_nodes: NodeDefinitions }>(
  'object_info_core',
)
const drawn = goldenDocument<{ definitions: NodeDefinitions; cases: Vector[] }>('workflows')
const definitions = { ...core.nodes, ...core.extra_nodes, ...drawn.definitions }

/** When the vectors were measured, and the choice that does not matter in them. */
const options: ConversionOptions = { now: new Date(2026, 10, 21, 9, 8, 51), random: () => 0 }

const convert = (workflow: JsonValue, changed: Partial<ConversionOptions> = {}) =>
  convertWorkflow(workflow, definitions, { ...options, ...changed })

const folder = new URL('../goldens/convert/', import.meta.url)

for (const file of readdirSync(folder)) {
  t.test(`the vector ${file}`, async (t) => {
    const text = readFileSync(new URL(file, folder), 'utf8')
    const { input, output } = parseJson(text) as unknown as Vector
    t.strictSame(convert(input).prompt, output)
  })
}

for (const { name, input, output } of drawn.cases) {
  t.test(`the drawing ${name}`, async (t) => {
    t.strictSame(convert(input).prompt, output)
  })
}

const node = (id: number, type: string, rest: JsonObject = {}): JsonObject => ({
  id,
  type,
  ...rest,
})
const workflow = (nodes: JsonValue[], links: JsonValue[] = [], rest: JsonObject = {}) => ({
  nodes,
  links,
  version: 0.4,
  ...rest,
})

t.test('64-bit seeds stay intact', async (t) => {
  const seed = 18446744073709551615n
  const values = [seed, 'fixed', 20, 8, 'euler', 'normal', 1]
  const { prompt } = convert(workflow([node(1, 'KSampler', { widgets_values: values })]))
  t.equal(prompt['1']!.inputs.seed, seed)
})

t.test('values that a file lists by name', async (t) => {
  const { prompt } = convert(
    workflow([node(1, 'KSampler', { widgets_values: { steps: 7, seed: 5, preview: true } })]),
  )
  t.match(prompt['1']!.inputs, { seed: 5, steps: 7, cfg: 8 })
  t.notOk('preview' in prompt['1']!.inputs)
})

t.test('choices are made by the given source of chance, outer ones first', async (t) => {
  const text = 'a {red|green|{light|dark} blue} {cat|dog}'
  const drawn = workflow([node(1, 'CLIPTextEncode', { widgets_values: [text] })])
  const chances = [0.9, 0.6, 0.1]
  const random = () => chances.shift() ?? 0
  t.equal(convert(drawn, { random }).prompt['1']!.inputs.text, 'a dark blue cat')
  t.equal(convert(drawn, { random: () => 1 }).prompt['1']!.inputs.text, 'a dark blue dog')
})

t.test('what is odd is told, and does no harm', async (t) => {
  const drawn = workflow(
    [
      node(1, 'SaveImage', { inputs: [{ name: 'images', type: 'IMAGE', link: 5 }] }),
      node(2, 'SaveImage', { inputs: [{ name: 'images', type: 'IMAGE', link: 6 }] }),
      node(3, 'NoSuchNode'),
      node(4, 'workflow>Mine'),
      node(4, 'EmptyLatentImage'),
    ],
    [null, [6, 99, 0, 2, 0, 'IMAGE']],
  )
  const { prompt, warnings } = convert(drawn)
  t.strictSame(Object.keys(prompt), ['1', '2', '3', '4'])
  t.strictSame(prompt['2']!.inputs, { filename_prefix: 'ComfyUI' })
  t.match(
    warnings.map(({ nodeId, message }) => `${nodeId} ${message}`),
    [
      /two nodes have the id 4/,
      /a link that cannot be read/,
      /^1 The link of "images" leads nowhere/,
      /^2 A link comes from node 99/,
      /^3 There is no node NoSuchNode here, and custom nodes cannot be added .*take it out/i,
    ],
  )
  t.equal(warnings.find(({ nodeId }) => nodeId === '3')?.unknownClass, 'NoSuchNode')
})

t.test('a socket wired straight through a subgraph', async (t) => {
  const id = 'bbbbbbbb-0000-4000-8000-00000000000b'
  const socket = { name: 'image', type: 'IMAGE' }
  const through = {
    id,
    name: 'Through',
    inputs: [socket],
    outputs: [socket],
    nodes: [],
    links: [{ id: 1, origin_id: -10, origin_slot: 0, target_id: -20, target_slot: 0 }],
  }
  const drawn = workflow(
    [
      node(1, 'LoadImage', { widgets_values: ['a.png', 'image'] }),
      node(2, id, { inputs: [{ ...socket, link: 1 }], outputs: [socket] }),
      node(3, 'SaveImage', { inputs: [{ name: 'images', type: 'IMAGE', link: 2 }] }),
    ],
    [
      [1, 1, 0, 2, 0, 'IMAGE'],
      [2, 2, 0, 3, 0, 'IMAGE'],
    ],
    { definitions: { subgraphs: [through] } },
  )
  t.strictSame(convert(drawn).prompt['3']!.inputs.images, ['1', 0])
})

t.test('what is no workflow is refused with a reason', async (t) => {
  const refused: [JsonValue, RegExp][] = [
    [null, /no JSON object/],
    ['{}', /no JSON object/],
    [[], /no JSON object/],
    [{}, /no list of nodes/],
    [{ nodes: {} }, /no list of nodes/],
    [workflow([7]), /node 0 of the workflow is no object/],
    [workflow([{ type: 'Note' }]), /node 0 of the workflow has no id/],
    [workflow([{ id: {}, type: 'Note' }]), /has no id/],
    [workflow([{ id: 3 }]), /\(id 3\) has no type/],
  ]
  for (const [value, reason] of refused) {
    t.throws(() => convert(value), reason)
    t.throws(() => convert(value), { code: 'invalid_prompt' })
  }
})

t.test('garbage within a workflow breaks nothing', async (t) => {
  const junk: JsonValue[] = [null, 7, 'x', [], [null], {}, { a: 1 }, true, -1, [[[]]]]
  const keys = ['inputs', 'outputs', 'widgets_values', 'properties', 'mode', 'title', 'extra']
  for (const value of junk) {
    for (const key of keys) {
      const drawn = workflow([node(1, 'KSampler', { [key]: value })], junk, { [key]: value })
      t.ok(convert(drawn).prompt, `${key} ${JSON.stringify(value)}`)
    }
    for (const key of ['definitions', 'links', 'state', 'extra', 'version', 'last_node_id'])
      t.ok(convert({ ...workflow([node(1, 'Note')]), [key]: value }))
    for (const key of ['inputs', 'outputs', 'links', 'inputNode', 'nodes', 'name']) {
      if (key === 'nodes' && Array.isArray(value) && value.length > 0) continue
      const subgraphs = [{ id: 'sub', nodes: [], [key]: value }, value]
      const drawn = workflow([node(1, 'sub', { widgets_values: value })], [], {
        definitions: { subgraphs },
      })
      t.ok(convert(drawn).prompt, `${key} ${JSON.stringify(value)}`)
    }
  }
})

t.test('names that would change a prototype are just names', async (t) => {
  const drawn = parseJson(
    '{"nodes":[{"id":"__proto__","type":"constructor","inputs":[],"widgets_values":[1]}],"links":[]}',
  )
  const { prompt } = convert(drawn)
  t.strictSame(Object.keys(prompt), ['__proto__'])
  t.strictSame(prompt[Object.keys(prompt)[0]!]?.inputs, { UNKNOWN: 1 })
})

t.test('circles, and subgraphs without end, are refused', async (t) => {
  const reroute = (id: number, link: number) =>
    node(id, 'Reroute', { inputs: [{ name: '', type: '*', link }] })
  const circle = workflow(
    [reroute(1, 1), reroute(2, 2), node(3, 'SaveImage', { inputs: [{ name: 'images', link: 3 }] })],
    [
      [1, 2, 0, 1, 0, '*'],
      [2, 1, 0, 2, 0, '*'],
      [3, 2, 0, 3, 0, '*'],
    ],
  )
  t.throws(() => convert(circle), /"images" of node 3 go in a circle/)

  const sub = (id: string, inner: string[]) => ({
    id,
    name: id,
    nodes: inner.map((type, index) => node(index, type)),
    links: [],
  })
  const holding = (...subgraphs: JsonObject[]) =>
    workflow([node(1, String(subgraphs[0]!.id))], [], { definitions: { subgraphs } })
  t.throws(() => convert(holding(sub('a', ['b']), sub('b', ['a']))), /"a" contains itself/)
  const doubled = Array.from({ length: 40 }, (_, i) => sub(`s${i}`, [`s${i + 1}`, `s${i + 1}`]))
  t.throws(() => convert(holding(...doubled)), /more than 20000 nodes/)
  const deep = Array.from({ length: 100 }, (_, i) => sub(`s${i}`, [`s${i + 1}`]))
  t.throws(() => convert(holding(...deep)), /more than 50 deep/)
})

t.test('long chains and deep texts take no stack', async (t) => {
  const count = 20_000 - 2
  const reroutes = Array.from({ length: count }, (_, i) =>
    node(i + 1, 'Reroute', { inputs: [{ name: '', type: '*', link: i + 1 }] }),
  )
  const links = Array.from({ length: count + 1 }, (_, i) => [i + 1, i, 0, i + 1, 0, 'IMAGE'])
  const drawn = workflow(
    [
      node(0, 'LoadImage'),
      ...reroutes,
      node(count + 1, 'SaveImage', { inputs: [{ name: 'images', link: count + 1 }] }),
    ],
    links,
  )
  t.strictSame(convert(drawn).prompt[String(count + 1)]!.inputs.images, ['0', 0])

  const text = `${'{a|'.repeat(200_000)}b${'}'.repeat(200_000)}`
  const texts = workflow([node(1, 'CLIPTextEncode', { widgets_values: [text] })])
  t.equal(convert(texts, { random: () => 0.9 }).prompt['1']!.inputs.text, 'b')
})

t.test('a file that claims much takes no time to speak of', async (t) => {
  const count = 60_000
  const many = <T>(make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i))
  const sockets = many(() => ({ name: 'image', type: 'IMAGE', link: 1 }))
  const links = many((i) => [i + 1, 1, 0, 2, 0, '*'])
  const id = 'bbbbbbbb-0000-4000-8000-00000000000b'
  const inner = {
    id,
    inputs: sockets,
    outputs: sockets,
    nodes: [node(5, 'ImageInvert', { inputs: sockets })],
    links: many((i) => ({
      id: i + 1,
      origin_id: -10,
      origin_slot: i,
      target_id: 5,
      target_slot: 0,
    })),
  }
  const text = '%KSampler.seed%'.repeat(count)
  const nodes = [
    node(1, 'PrimitiveNode', { widgets_values: [5], outputs: sockets }),
    node(2, 'KSampler', { inputs: sockets }),
    node(3, id, { inputs: sockets, widgets_values: many((i) => i) }),
    node(4, 'SaveImage', { widgets_values: [text] }),
    ...Array.from({ length: 15_000 }, (_, i) =>
      node(i + 10, 'PrimitiveNode', { widgets_values: [i] }),
    ),
  ]
  const { prompt } = convert(workflow(nodes, links, { definitions: { subgraphs: [inner] } }))
  t.equal(prompt['4']!.inputs.filename_prefix, '0'.repeat(count))
})
