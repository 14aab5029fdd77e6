/** What `run` and `plan` say of a prompt that is not accepted. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { runCommandLine } from '../../src/cli/commands.ts'
import { refusalLines } from '../../src/cli/refusal.ts'
import { validatePrompt } from '../../src/planning/validate.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { startTestAgent } from '../test-agent.ts'

const file = new URL('../goldens/object_info_core.json', import.meta.url)
const { nodes: definitions } = JSON.parse(readFileSync(file, 'utf8')) as { nodes: NodeDefinitions }

/** As the agent refuses it, in the words of its API. */
async function linesOf(prompt: Prompt): Promise<string[]> {
  const result = await validatePrompt({ prompt: prompt as unknown as JsonObject, definitions })
  if (result.valid) throw new Error('it was accepted')
  return refusalLines({ error: result.error, node_errors: result.nodeErrors }, prompt, definitions)
}

const save = { class_type: 'SaveImage', inputs: { filename_prefix: 'x', images: ['8', 0] } }

t.test('every node that nobody has, by its class, however it is titled', async (t) => {
  const lines = await linesOf({
    '5': { class_type: 'Fancy\u001b[2J', inputs: {}, _meta: { title: 'Positive' } },
    '6': { class_type: 'EmptyLatentImage', inputs: {} },
    '7': { inputs: {} } as unknown as Prompt[string],
    '8': { class_type: 'Upscaler', inputs: {} },
    '9': save as Prompt[string],
  })
  t.equal(lines.length, 3)
  t.match(lines, [
    /^"Positive" \(Fancy \[2J, node 5\): There is no node Fancy \[2J here, .*take it out/i,
    /^node 7: It has no class_type, .*take it out/i,
    /^Upscaler \(node 8\): There is no node Upscaler here, .*GET \/object_info lists/,
  ])
  t.notMatch(lines.join(), /install|corrupted/i)
})

t.test('a model that no machine has: where models are looked for', async (t) => {
  const [line] = await linesOf({
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sdxl.safetensors' } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['2', 0], vae: ['1', 2] } },
    '2': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    '9': save as Prompt[string],
  })
  t.match(
    line,
    /^CheckpointLoaderSimple \(node 1\): Value not in list \(ckpt_name: 'sdxl.safetensors' not in .*No machine offers it: .*the checkpoints folder.*--models.*comfymesh doctor/,
  )
})

t.test('a link to a node that is not there: which, and at which input', async (t) => {
  const inner = await linesOf({
    '8': { class_type: 'ImageInvert', inputs: { image: ['44', 0] } },
    '9': save as Prompt[string],
  })
  t.match(
    inner.find((line) => line.includes("'44'")),
    /Its input image is linked to node 44, which/,
  )
  const outer = await linesOf({ '9': save as Prompt[string] })
  t.match(outer, [/SaveImage \(node 9\): .*Its input images is linked to node 8, which the prompt/])
})

t.test('a value of a long list, and a link of another type', async (t) => {
  const lines = await linesOf({
    '3': {
      class_type: 'KSampler',
      inputs: {
        ...{ seed: 1, steps: 1, cfg: 1, denoise: 1, sampler_name: 'oiler', scheduler: 'normal' },
        ...{ model: ['5', 0], positive: ['5', 0], negative: ['5', 0], latent_image: ['5', 0] },
      },
    },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['5', 0] } },
    '9': save as Prompt[string],
  })
  const lineWith = (text: string) => lines.find((line) => line.includes(text))
  t.match(lineWith('oiler'), /GET \/object_info\/KSampler lists what is possible\.$/)
  t.match(lineWith('(model,'), /Link model to .*; now it is linked to EmptyLatentImage \(node 5\)/)
})

t.test('no outputs: what to add', async (t) => {
  const lines = await linesOf({ '1': { class_type: 'EmptyLatentImage', inputs: {} } })
  t.strictSame(lines, [
    'Prompt has no outputs. Add a SaveImage or a PreviewImage and link the picture to it.',
  ])
})

const drawn = {
  nodes: [
    { id: 1, type: 'FancyCustomLoader', outputs: [{ name: 'X', type: 'X', links: [1] }] },
    { id: 2, type: 'TN_Out', inputs: [{ name: 'x', type: 'X', link: 1 }] },
  ],
  links: [[1, 1, 0, 2, 0, 'X']],
  version: 0.4,
}

for (const name of ['run', 'plan']) {
  t.test(`${name}: the unknown node of a drawing, told once`, async (t) => {
    const folder = t.testdir({})
    const agent = await startTestAgent(t, createFakeExecutor(), join(folder, 'agent'))
    const workflow = join(folder, 'workflow.json')
    writeFileSync(workflow, JSON.stringify(drawn))
    const where = ['--port', new URL(agent.url).port, '--data-dir', join(folder, 'data')]
    const err = t.capture(console, 'error', () => {})
    const out = t.capture(console, 'log', () => {})
    t.equal(await runCommandLine([name, workflow, ...where]), 2)
    const told = err().map(({ args }) => String(args[0]))
    t.match(told, [/not accepted:/, /^ {2}FancyCustomLoader \(node 1\): There is no node Fancy/])
    t.equal(told.length, 2)
    t.equal(await runCommandLine([name, workflow, '--json', ...where]), 2)
    t.match(JSON.parse(String(out()[0]!.args[0])), {
      status: 'refused',
      problems: [/There is no node FancyCustomLoader here/],
    })
  })
}
