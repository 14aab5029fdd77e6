/** Workflows by the built program: converted, run, found again in their pictures. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { oneThread, runBuilt, testBuiltAgent } from '../built-agent.ts'
import { ask } from '../test-agent.ts'
import { CHECKPOINT } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

const SEED = 18446744073709551613n

const link = (name: string, type: string, id: number) => ({ name, type, link: id })

/** Drawn as ComfyUI saves it, with a note and the values that are no inputs. */
const workflow = {
  nodes: [
    { id: 1, type: 'CheckpointLoaderSimple', widgets_values: [CHECKPOINT] },
    {
      id: 2,
      type: 'CLIPTextEncode',
      title: 'What to see',
      inputs: [link('clip', 'CLIP', 1)],
      widgets_values: ['a {red|red} circle // on nothing'],
    },
    { id: 3, type: 'CLIPTextEncode', inputs: [link('clip', 'CLIP', 2)], widgets_values: [''] },
    { id: 4, type: 'EmptyLatentImage', widgets_values: [64, 64, 1] },
    {
      id: 5,
      type: 'KSampler',
      inputs: [
        link('model', 'MODEL', 3),
        link('positive', 'CONDITIONING', 4),
        link('negative', 'CONDITIONING', 5),
        link('latent_image', 'LATENT', 6),
      ],
      widgets_values: [SEED, 'fixed', 2, 4.5, 'euler', 'normal', 1],
    },
    { id: 6, type: 'VAEDecode', inputs: [link('samples', 'LATENT', 7), link('vae', 'VAE', 8)] },
    {
      id: 7,
      type: 'SaveImage',
      inputs: [link('images', 'IMAGE', 9)],
      widgets_values: ['%KSampler.sampler_name%'],
    },
    { id: 8, type: 'Note', widgets_values: ['nothing that runs'] },
  ],
  links: [
    [1, 1, 1, 2, 0, 'CLIP'],
    [2, 1, 1, 3, 0, 'CLIP'],
    [3, 1, 0, 5, 0, 'MODEL'],
    [4, 2, 0, 5, 1, 'CONDITIONING'],
    [5, 3, 0, 5, 2, 'CONDITIONING'],
    [6, 4, 0, 5, 3, 'LATENT'],
    [7, 5, 0, 6, 0, 'LATENT'],
    [8, 1, 2, 6, 1, 'VAE'],
    [9, 6, 0, 7, 0, 'IMAGE'],
  ],
  version: 0.4,
} as unknown as JsonValue

function workflowFile(t: Test): string {
  return join(t.testdir({ 'workflow.json': stringifyJson(workflow) }), 'workflow.json')
}

t.test('convert: prints the prompt, among our own nodes or those of a file', async (t) => {
  const file = workflowFile(t)
  const where = ['--port', '0', '--data-dir', join(file, '..', 'data')]
  const own = await runBuilt(['convert', file, ...where, '--set', 'What to see.text=a star'])
  t.equal(own.code, 0, own.stderr)
  const prompt = parseJson(own.stdout) as { [id: string]: { inputs: object } }
  t.strictSame(Object.keys(prompt), ['1', '2', '3', '4', '5', '6', '7'])
  t.match(prompt['5']?.inputs, { seed: SEED, steps: 2, sampler_name: 'euler', model: ['1', 0] })
  t.match(prompt['2']?.inputs, { text: 'a star', clip: ['1', 1] })

  const none = join(file, '..', 'none.json')
  writeFileSync(none, '{}')
  const unknown = await runBuilt(['convert', file, ...where, '--object-info', none])
  t.equal(unknown.code, 0)
  t.match(unknown.stderr, /Warning: node 5: There is no node KSampler here/)
  const broken = await runBuilt(['convert', file, ...where, '--object-info', file])
  t.equal(broken.code, 2)
  t.match(broken.stderr, /not the answer of a \/object_info/)
})

t.test('run, status, and the same again from the picture', async (t) => {
  const agent = await testBuiltAgent(t, join(t.testdir({}), 'agent'))
  const where = ['--port', new URL(agent.url).port, '--data-dir', agent.dataDir]
  const file = workflowFile(t)
  const out = join(file, '..', 'pictures')
  const ran = await runBuilt(['run', file, '--json', '--out', out, ...oneThread, ...where])
  t.equal(ran.code, 0, ran.stderr)
  const [picture] = JSON.parse(ran.stdout).pictures
  t.match(picture.path, /euler_00001_\.png$/)
  const texts = Object.fromEntries(readPngText(readFileSync(picture.path)))
  t.strictSame(parseJson(texts.workflow!), workflow, 'the picture carries the workflow')

  const converted = await runBuilt(['convert', picture.path, ...where])
  const prompt = parseJson(converted.stdout) as { [id: string]: { inputs: object } }
  t.match(prompt['5']?.inputs, { seed: SEED })
  const again = await runBuilt(['run', picture.path, '--json', '--out', out, ...where])
  t.equal(again.code, 0, again.stderr)

  const status = await runBuilt(['status', '--json', ...where])
  t.equal(status.code, 0, status.stderr)
  t.match(JSON.parse(status.stdout), {
    agent: { url: agent.url },
    queue: { paused: false },
    running: [],
    provider: 'cpu',
    checkpoints: [{ name: CHECKPOINT, family: 'sd1', resident: true }],
  })
  const metrics = await ask(agent, 'GET', '/metrics')
  t.match(metrics.text, /^comfymesh_jobs_total\{status="completed"\} 2$/m)
  await agent.stop()
  t.equal((await runBuilt(['status', ...where])).code, 1)
})
