import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { NodeDefinition, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { UsageError } from '../../src/cli/arguments.ts'
import { editPrompt, seedPrompt } from '../../src/cli/prompt-edits.ts'

const prompt: Prompt = {
  '3': {
    class_type: 'KSampler',
    inputs: { seed: 1, steps: 20, cfg: 7, sampler_name: 'euler', model: ['4', 0], flag: true },
  },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a' }, _meta: { title: 'Positive' } },
  '7': { class_type: 'CLIPTextEncode', inputs: { text: 'b' }, _meta: { title: 'v1.5 text' } },
  '10:50': { class_type: 'Advanced', inputs: { noise_seed: ['3', 0] } },
  '11': { class_type: 'Advanced', inputs: { noise_seed: 5 } },
  '12': { class_type: 'Stranger', inputs: {} },
}

const definition = (display_name: string, required: object) =>
  ({ display_name, input: { required } }) as NodeDefinition

const definitions = {
  KSampler: definition('KSampler', {
    seed: ['INT', {}],
    steps: ['INT', {}],
    cfg: ['FLOAT', {}],
    sampler_name: [['euler', 'heun'], {}],
    model: ['MODEL'],
    flag: ['BOOLEAN', {}],
  }),
  CLIPTextEncode: definition('CLIP Text Encode (Prompt)', { text: ['STRING', {}] }),
  Advanced: definition('Advanced', { noise_seed: ['INT', {}], 'images.image0': ['STRING', {}] }),
}

const edit = (...edits: string[]) => editPrompt(prompt, edits, definitions)

t.test('nodes by id, by title, by class', async (t) => {
  t.equal(edit('3.steps=4')['3']!.inputs.steps, 4)
  t.equal(edit('ksampler.steps=4')['3']!.inputs.steps, 4)
  t.equal(edit('positive.text=x=y.z')['6']!.inputs.text, 'x=y.z', 'only the first sign counts')
  t.equal(edit('v1.5 text.text=z')['7']!.inputs.text, 'z', 'titles with dots')
  t.equal(edit('10:50.noise_seed=3')['10:50']!.inputs.noise_seed, 3, 'a link gives way')
  t.equal(edit('11.images.image0=x')['11']!.inputs['images.image0'], 'x', 'inputs with dots')
  t.equal(prompt['3']!.inputs.steps, 20, 'the prompt itself stays as it was')
})

t.test('values by the type of the input', async (t) => {
  const value = (input: string, text: string) => edit(`3.${input}=${text}`)['3']!.inputs[input]
  t.equal(value('seed', '18446744073709551615'), 18446744073709551615n)
  t.equal(value('cfg', '1.5'), 1.5)
  t.equal(value('sampler_name', 'heun'), 'heun')
  t.equal(value('flag', 'no'), false)
  t.equal(value('flag', 'True'), true)
  t.equal(edit('6.text=')['6']!.inputs.text, '')
  t.equal(edit('6.text=7')['6']!.inputs.text, '7')
})

t.test('mistakes are told with what would be right', async (t) => {
  const refuses = (text: string, message: RegExp) =>
    t.throws(() => edit(text), { constructor: UsageError, message }, text)
  refuses('3.steps', /write it as node.input=value/)
  refuses('99.steps=1', /no such node. There are: 3 \(KSampler\), 6 \(Positive\)/)
  refuses('CLIPTextEncode.text=x', /by its id: 6, 7/)
  refuses('3.stps=1', /KSampler has no input 'stps'. Did you mean steps\?/)
  refuses('3.frobnicate=1', /It has: seed, steps/)
  refuses('3.steps=1.5', /the steps of KSampler \(node 3\) should be a whole number, not '1\.5'/)
  refuses('3.cfg=', /the cfg of KSampler \(node 3\) should be a number/)
  refuses('3.flag=maybe', /true or false/)
  const eulr =
    /sampler_name of KSampler \(node 3\) cannot be 'eulr'\. Did you mean euler\? Choose one of: euler, heun\./
  refuses('3.sampler_name=eulr', eulr)
  refuses('3.model=x', /the model of KSampler \(node 3\) is a MODEL that comes from another node/)
  refuses('12.x=1', /does not know the class/)
  refuses('3.toString=1', /no input 'toString'/)
})

t.test('a seed goes to every node that has one of its own', async (t) => {
  const seeded = seedPrompt(prompt, '18446744073709551615')
  t.equal(seeded['3']!.inputs.seed, 18446744073709551615n)
  t.equal(seeded['11']!.inputs.noise_seed, 18446744073709551615n)
  t.strictSame(seeded['10:50']!.inputs.noise_seed, ['3', 0], 'a linked one keeps its link')
  t.throws(() => seedPrompt({ '6': prompt['6']! }, '1'), /no node of this prompt has a seed/)
  for (const bad of ['-1', 'x', '1.5', '18446744073709551616']) {
    t.throws(() => seedPrompt(prompt, bad), /--seed should be a whole number/, bad)
  }
})

t.test('titles of strangers', async (t) => {
  const node = { class_type: 'KSampler', inputs: {} }
  t.equal(titleOf({ ...node, _meta: { title: 'a\n\u001b[31mb' } }), 'a [31mb')
  const odd = { ...node, _meta: { title: 5 } } as unknown as Prompt[string]
  t.equal(titleOf(odd), 'KSampler')
  t.throws(() => editPrompt({ 1: odd }, ['nobody.x=1'], definitions), /no such node/)
})
