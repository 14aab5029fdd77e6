/** `comfymesh demo`: a prompt becomes a picture with the model that ships with the program. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { shippedModels } from '../models/model-paths.ts'
import { withOwnAgent } from './agent-access.ts'
import { type Arguments, textOf, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { summaryLines } from './job-summary.ts'
import { failureLine } from './problems.ts'
import { seedPrompt } from './prompt-edits.ts'
import { type FinishedJob, runJob } from './run-job.ts'
import { madeFiles } from './saved-pictures.ts'
import { loadSettings } from './settings.ts'
import { type Terminal, terminalAt } from './terminal.ts'

const DEFAULT_TEXT = 'a red circle on a blue background'

/** The size that the shipped model was trained for. */
const SIDE = 256

export const demoCommand: Command = {
  name: 'demo',
  summary: 'Make a picture with the model that ships with comfymesh',
  usage: 'demo [text] [options]',
  description:
    'The small model knows coloured shapes, their sizes, places, textures and backgrounds.',
  options: [
    { flag: 'seed', placeholder: '<number>', description: 'Another picture', defaults: '1' },
    {
      flag: 'out',
      placeholder: '<folder>',
      description: 'Where the picture goes',
      defaults: './output',
    },
  ],
  examples: [
    { command: 'comfymesh demo', what: DEFAULT_TEXT },
    { command: 'comfymesh demo "a yellow star above a green square"', what: 'something else' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const text = given.positionals.join(' ') || DEFAULT_TEXT
  const prompt = seedPrompt(demoPrompt(text), textOf(given, 'seed') ?? '1')
  const outputDir = resolve(textOf(given, 'out') ?? 'output')
  // A data folder of its own: the demo works whatever the user's own settings are.
  const dataDir = mkdtempSync(join(tmpdir(), 'comfymesh-demo-'))
  try {
    const settings = loadSettings({ flags: { dataDir, outputDir } })
    const terminal = terminalAt(process.stdout)
    console.log(`${terminal.paint('bold', text)}`)
    const job = await withOwnAgent(settings, (agent) => runJob(agent, { prompt }))
    return await show(job, outputDir, terminal)
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function show(job: FinishedJob, outputDir: string, terminal: Terminal): Promise<number> {
  const files = madeFiles(job.state).map(({ nodeId, file }) => ({
    nodeId,
    path: join(outputDir, file.subfolder, file.filename),
  }))
  for (const { path } of files) {
    if (terminal.hasTrueColor) {
      const { pictureRows } = await import('./terminal-picture.ts')
      console.log((await pictureRows(path, 48, 24)).join('\n'))
    }
    console.log(`Picture: ${relative('.', path) || path}`)
  }
  for (const line of summaryLines({ ...job, files }, terminal)) console.log(line)
  const { status, error, request, endNodeId } = job.state
  if (error) console.error(`The job failed: ${failureLine(error, request.prompt, endNodeId)}`)
  return status === 'completed' ? 0 : 1
}

function demoPrompt(text: string): Prompt {
  const checkpoint = readdirSync(join(shippedModels, 'checkpoints')).find((name) =>
    name.endsWith('.safetensors'),
  )
  if (checkpoint === undefined) {
    throw new UsageError(`The model that ships with comfymesh is missing from ${shippedModels}.`)
  }
  const node = (class_type: string, title: string, inputs: Prompt[string]['inputs']) => ({
    class_type,
    inputs,
    _meta: { title },
  })
  return {
    model: node('CheckpointLoaderSimple', 'Load model', { ckpt_name: checkpoint }),
    text: node('CLIPTextEncode', 'Read the text', { text, clip: ['model', 1] }),
    nothing: node('CLIPTextEncode', 'Read the empty text', { text: '', clip: ['model', 1] }),
    size: node('EmptyLatentImage', 'Canvas', { width: SIDE, height: SIDE, batch_size: 1 }),
    sampler: node('KSampler', 'Sample', {
      model: ['model', 0],
      positive: ['text', 0],
      negative: ['nothing', 0],
      latent_image: ['size', 0],
      seed: 1,
      steps: 20,
      cfg: 4.5,
      sampler_name: 'euler',
      scheduler: 'normal',
      denoise: 1,
    }),
    decode: node('VAEDecode', 'Decode', { samples: ['sampler', 0], vae: ['model', 2] }),
    save: node('SaveImage', 'Save', { images: ['decode', 0], filename_prefix: 'demo' }),
  }
}
