/** The conditioning nodes and the text encoder against what ComfyUI made of the same inputs. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { NodeContext } from '../../../../src/executors/native/node.ts'
import { conditioningNodes } from '../../../../src/executors/native/nodes/conditioning.ts'
import { createModelSessions } from '../../../../src/executors/native/sessions/model-sessions.ts'
import type { Conditioning, ConditioningEntry } from '../../../../src/executors/native/values.ts'
import { ModelFolders } from '../../../../src/models/folders.ts'
import { goldenCases, goldenTensors, largestDifference } from '../../../goldens.ts'
import { writeRuleModel } from '../../../models/model-files.ts'
import { networkCases } from '../graphs/network-goldens.ts'

type Input =
  | number
  | string
  | {
      readonly type: 'CONDITIONING'
      readonly entries: readonly (readonly [string, string | null])[]
    }
  | { readonly type: 'MASK'; readonly tensor: string }

interface NodeCase {
  readonly node: string
  readonly inputs: { readonly [name: string]: Input }
  readonly outputs: readonly [{ readonly entries: readonly { readonly [key: string]: unknown }[] }]
}

const run = async (name: string, inputs: { [name: string]: unknown }, context: NodeContext) =>
  (await conditioningNodes.find((node) => node.name === name)!.run(inputs, context)).outputs

const stored = goldenTensors('nodes')

function given(input: Input): unknown {
  if (typeof input !== 'object') return input
  if (input.type === 'MASK') return stored(input.tensor)
  return input.entries.map(([tokens, pooled]) => ({
    tokens: stored(tokens),
    ...(pooled !== null && { pooled: stored(pooled) }),
  }))
}

/** ComfyUI's names of what an entry holds. */
const named = (entry: ConditioningEntry) => ({
  cond: entry.tokens,
  pooled_output: entry.pooled,
  area: entry.area,
  strength: entry.strength,
  mask: entry.mask,
  mask_strength: entry.maskStrength,
  set_area_to_bounds: entry.setAreaToBounds,
  start_percent: entry.startPercent,
  end_percent: entry.endPercent,
})

const nodeCases = goldenCases<NodeCase>('nodes').filter(({ node }) => node.startsWith('Cond'))

t.test('conditioning nodes', async (t) => {
  t.ok(nodeCases.length > 10)
  for (const { node, inputs, outputs } of nodeCases) {
    const values = Object.entries(inputs).map(([name, input]) => [name, given(input)])
    const [found] = await run(node, Object.fromEntries(values), {} as NodeContext)
    const entries = (found as Conditioning).map(named)
    t.equal(entries.length, outputs[0].entries.length, node)
    for (const [index, wanted] of outputs[0].entries.entries()) {
      for (const [key, value] of Object.entries(entries[index]!)) {
        const expected = wanted[key]
        if (typeof expected !== 'string') t.strictSame(value, expected, `${node} ${key}`)
        else {
          const [tensor, golden] = [value as Conditioning[0]['tokens'], stored(expected)]
          t.strictSame(tensor?.shape, golden.shape, `${node} ${key}`)
          t.ok(largestDifference(tensor.data, golden.data) < 1e-6, `${node} ${key}`)
        }
      }
    }
  }
})

interface TextCase {
  readonly kind: string
  readonly prompt: string
  readonly stop_at_clip_layer: number | null
  readonly cond: string
  readonly pooled: string
}

t.test('CLIPTextEncode, with weights, embeddings, long prompts and CLIP skip', async (t) => {
  const network = networkCases('text').find(({ name }) => name === 'text.two-layers')!
  const path = writeRuleModel(t.testdir(), network.shapes)
  const cpu = { name: 'cpu', ok: true, fusedAttention: true, halfPrecision: false } as const
  const embeddings = fileURLToPath(new URL('../../../goldens/embeddings', import.meta.url))
  const folders = new ModelFolders({
    models: { embeddings: [embeddings] },
    input: '',
    output: '',
    temp: '',
  })
  const models = createModelSessions({}, [cpu])
  const context = { models, folders, warn: () => {} } as Partial<NodeContext> as NodeContext
  const golden = goldenTensors('text')
  const cases = goldenCases<TextCase>('text').filter(({ kind }) => kind === 'conditioning')
  t.ok(cases.length > 5)
  for (const { prompt, stop_at_clip_layer, cond, pooled } of cases) {
    const handle = { kind: 'CLIP', path, loras: [], lastLayer: -1 }
    const stop = { clip: handle, stop_at_clip_layer }
    const [clip] =
      stop_at_clip_layer === null ? [handle] : await run('CLIPSetLastLayer', stop, context)
    const [entries] = await run('CLIPTextEncode', { text: prompt, clip }, context)
    const [entry] = entries as Conditioning
    t.strictSame(entry!.tokens.shape, golden(cond).shape, encodeURI(prompt).slice(0, 60))
    t.ok(largestDifference(entry!.tokens.data, golden(cond).data) < 1e-4, cond)
    t.ok(largestDifference(entry!.pooled!.data, golden(pooled).data) < 1e-4, pooled)
  }
})
