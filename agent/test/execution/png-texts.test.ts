/** The texts in a picture, byte by byte as a ComfyUI on Python writes them. */
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { pngTexts } from '../../src/execution/png-texts.ts'
import { testDefinitions } from '../fake-executor.ts'

const prompt = {
  1: { inputs: { value: 1, f: 1, mode: 'a' }, class_type: 'TN_Int', _meta: { title: 'Grüße' } },
  2: { class_type: 'TN_Seed', inputs: { seed: 18446744073709551615n, f: 1 } },
  3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } },
  4: { class_type: 'TN_Int', inputs: { value: 2, f: 1 } },
} as unknown as Prompt
const graph = { prompt, definitions: testDefinitions }

t.test('a whole number of a FLOAT input stays a float, where validation made it one', async (t) => {
  t.strictSame(pngTexts({ extraData: {} }, graph, ['1', '2', '3']), [
    [
      'prompt',
      '{"1": {"inputs": {"value": 1, "f": 1.0, "mode": "a"}, "class_type": "TN_Int", "_meta": {"title": "Gr\\u00fc\\u00dfe"}}, ' +
        '"2": {"class_type": "TN_Seed", "inputs": {"seed": 18446744073709551615, "f": 1}}, ' +
        '"3": {"class_type": "TN_Out", "inputs": {"x": ["1", 0]}}, ' +
        '"4": {"class_type": "TN_Int", "inputs": {"value": 2, "f": 1}}}',
    ],
  ])
})

t.test('what the client sent along follows, in its order', async (t) => {
  const workflow = { nodes: [], scale: 1e-7, big: 1e22, none: null, yes: true, odd: Number.NaN }
  const extra_pnginfo = { workflow, note: 'ü\u007f' }
  const [, ...sent] = pngTexts({ extraData: { extra_pnginfo } }, graph, [])
  t.strictSame(sent, [
    [
      'workflow',
      '{"nodes": [], "scale": 1e-07, "big": 1e+22, "none": null, "yes": true, "odd": NaN}',
    ],
    ['note', '"\\u00fc\\u007f"'],
  ])
  t.equal(pngTexts({ extraData: { extra_pnginfo: 'x' } }, graph, []).length, 1)
})
