/** Small meshes and prompts for the planner's tests: peers of a line, plans of a line. */
import { advertisementSchema } from '@comfymesh/protocol/advertisement'
import { type Plan, planOptionsSchema } from '@comfymesh/protocol/plan'
import type { NodeDefinition, NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import type { PlanInput } from '../../src/planning/basis.ts'
import { definitionsOf } from '../../src/planning/definitions.ts'
import { executionOrder } from '../../src/planning/graph.ts'
import type { PeerOffer } from '../../src/planning/peers.ts'
import { planJob } from '../../src/planning/plan.ts'
import { signaturesOf } from '../../src/planning/signature.ts'
import { goldenDocument } from '../goldens.ts'

const GB = 1024 ** 3

function define(name: string, required: object, output: string[]): NodeDefinition {
  const { nodes } = core
  return { ...nodes.VAELoader!, name, input: { required } as NodeDefinition['input'], output }
}

const core = goldenDocument<{ nodes: NodeDefinitions }>('object_info_core')

/** ComfyUI's own definitions and a few of classes that only other executors have. */
export const testNodes: NodeDefinitions = {
  ...core.nodes,
  UNETLoader: define('UNETLoader', { unet_name: [[]] }, ['MODEL']),
  CLIPLoader: define('CLIPLoader', { clip_name: [[]] }, ['CLIP']),
  Reroute: define('Reroute', { '': ['*'] }, ['*']),
  FindFaces: define('FindFaces', { image: ['IMAGE'] }, ['FACES']),
  PaintFaces: define('PaintFaces', { image: ['IMAGE'], faces: ['FACES'] }, ['IMAGE']),
  AdapterLoader: define('AdapterLoader', { adapter_name: [[]] }, ['ADAPTER']),
  ApplyAdapter: define(
    'ApplyAdapter',
    { model: ['MODEL'], adapter: ['ADAPTER'], image: ['IMAGE'] },
    ['MODEL'],
  ),
}

/** The inputs by which the loaders name files, with ComfyUI's folder for each. */
const fileInputs: Readonly<Record<string, readonly [input: string, kind: string]>> = {
  CheckpointLoaderSimple: ['ckpt_name', 'checkpoints'],
  UNETLoader: ['unet_name', 'diffusion_models'],
  CLIPLoader: ['clip_name', 'text_encoders'],
  VAELoader: ['vae_name', 'vae'],
  LoraLoader: ['lora_name', 'loras'],
  ControlNetLoader: ['control_net_name', 'controlnet'],
  UpscaleModelLoader: ['model_name', 'upscale_models'],
  AdapterLoader: ['adapter_name', 'adapters'],
}

/** Kind and size of the models of the tests, by name. */
export const models: Readonly<Record<string, readonly [kind: string, sizeGb: number]>> = {
  'sd15.safetensors': ['checkpoints', 2],
  'sdxl.safetensors': ['checkpoints', 6.5],
  'unet.safetensors': ['diffusion_models', 6],
  'clip.safetensors': ['text_encoders', 1],
  'vae.safetensors': ['vae', 0.3],
  'detail.safetensors': ['loras', 0.1],
  'canny.safetensors': ['controlnet', 0.7],
  '4x.pth': ['upscale_models', 0.1],
  'face.bin': ['adapters', 0.1],
}

export interface TestPeer {
  /** Names of models; `name=id` for a file of another content. All where absent. */
  readonly has?: readonly string[]
  readonly lacksNodes?: readonly string[]
  readonly memoryGb?: number
  readonly gflops?: number
  readonly waitMs?: number
  readonly resident?: readonly string[]
  readonly isAway?: boolean
  readonly definitions?: NodeDefinitions
}

/** A peer of the id `id-<name>`. */
export function peer(name: string, about: TestPeer = {}): PeerOffer {
  const files = (about.has ?? Object.keys(models)).map((entry) => {
    const [file, id = file] = entry.split('=') as [string, string?]
    const [kind, sizeGb] = models[file]!
    return { kind, name: file, id, sizeBytes: sizeGb * GB }
  })
  const { memoryGb } = about
  return {
    advertisement: advertisementSchema.parse({
      peerId: `id-${name}`,
      name,
      version: '0.1.0',
      residentModels: about.resident ?? [],
      benchmarkGflops: about.gflops ?? 5000,
      ...(memoryGb !== undefined && {
        devices: [{ name: 'GPU', kind: 'gpu', totalBytes: memoryGb * GB }],
      }),
    }),
    definitions: about.definitions ?? nodesWith(files, about.lacksNodes ?? []),
    judgedInputs: (classType) => (classType === 'LoadImage' ? ['image'] : []),
    catalog: files,
    ...(about.isAway && { absence: 'away' }),
    waitMs: about.waitMs ?? 0,
  }
}

function nodesWith(
  files: readonly { readonly kind: string; readonly name: string }[],
  lacking: readonly string[],
): NodeDefinitions {
  const nodes = { ...testNodes }
  for (const [classType, [input, kind]] of Object.entries(fileInputs)) {
    const names = files.filter((file) => file.kind === kind).map(({ name }) => name)
    const required = { ...nodes[classType]!.input.required, [input]: [names] }
    nodes[classType] = { ...nodes[classType]!, input: { required } as NodeDefinition['input'] }
  }
  for (const classType of lacking) delete nodes[classType]
  return nodes
}

type TestPrompt = { readonly [id: string]: readonly [classType: string, inputs: object] }

/** `{ id: [class, inputs] }` as a prompt. */
export function promptOf(nodes: TestPrompt): Prompt {
  return Object.fromEntries(
    Object.entries(nodes).map(([id, [class_type, inputs]]) => [id, { class_type, inputs }]),
  ) as Prompt
}

const sampling = { seed: 1, cfg: 7, sampler_name: 'euler', scheduler: 'normal', denoise: 1 }

/** Of ComfyUI's default prompt what samples and all that follows, from nodes named beside it. */
export function sampled(
  id: string,
  from: { readonly model?: string; readonly vae?: readonly [string, number] } = {},
  steps = 20,
): TestPrompt {
  const { model = 'ckpt', vae = ['ckpt', 2] } = from
  const links = { model: [model, 0], positive: ['pos', 0], negative: ['neg', 0] }
  return {
    [`sample${id}`]: ['KSampler', { ...sampling, ...links, steps, latent_image: ['latent', 0] }],
    [`decode${id}`]: ['VAEDecode', { samples: [`sample${id}`, 0], vae }],
    [`save${id}`]: ['SaveImage', { images: [`decode${id}`, 0], filename_prefix: 'x' }],
  }
}

export const latent = (side = 512, batch_size = 1): TestPrompt => ({
  latent: ['EmptyLatentImage', { width: side, height: side, batch_size }],
})

export const texts = (clip: readonly [string, number]): TestPrompt => ({
  pos: ['CLIPTextEncode', { text: 'a fox', clip }],
  neg: ['CLIPTextEncode', { text: '', clip }],
})

/** ComfyUI's default prompt: ckpt, pos, neg, latent, sample, decode, save. */
export function textToImage(checkpoint = 'sd15.safetensors', side = 512): Prompt {
  return promptOf({
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: checkpoint }],
    ...texts(['ckpt', 1]),
    ...latent(side),
    ...sampled(''),
  })
}

/** The same with a file for each network. */
export function separateFiles(side = 1024): Prompt {
  return promptOf({
    unet: ['UNETLoader', { unet_name: 'unet.safetensors' }],
    clip: ['CLIPLoader', { clip_name: 'clip.safetensors' }],
    vae: ['VAELoader', { vae_name: 'vae.safetensors' }],
    ...texts(['clip', 0]),
    ...latent(side),
    ...sampled('', { model: 'unet', vae: ['vae', 0] }),
  })
}

/** Independent pictures of one checkpoint, each with its own sampler. */
export function manyPictures(count: number, steps = 20): Prompt {
  const pictures = Array.from({ length: count }, (_, i) => sampled(String(i), {}, steps))
  return promptOf({
    ckpt: ['CheckpointLoaderSimple', { ckpt_name: 'sd15.safetensors' }],
    ...texts(['ckpt', 1]),
    ...latent(),
    ...Object.assign({}, ...pictures),
  })
}

export interface TestOptions extends Partial<Omit<PlanInput, 'graph' | 'peers' | 'options'>> {
  readonly affinity?: Record<string, string>
  readonly fallback?: 'none' | 'ask' | 'auto'
}

/** What the planner is asked; the first peer submits. */
export function inputOf(
  prompt: Prompt,
  peers: readonly PeerOffer[],
  { affinity = {}, fallback = 'auto', ...more }: TestOptions = {},
): PlanInput {
  const submitterId = more.submitterId ?? peers[0]?.advertisement.peerId ?? ''
  const first = peers.filter(({ advertisement }) => advertisement.peerId === submitterId)
  const graph = { prompt, definitions: definitionsOf([...first, ...peers]) }
  const isOutput = (id: string) => graph.definitions[prompt[id]!.class_type]?.output_node
  const outputs = more.outputs ?? Object.keys(prompt).filter(isOutput)
  const signatures = signaturesOf(graph, executionOrder(graph, outputs), new Map())
  const options = planOptionsSchema.parse({ affinity, fallback })
  return { graph, outputs, signatures, peers, submitterId, options, ...more }
}

export function plan(prompt: Prompt, peers: readonly PeerOffer[], more?: TestOptions): Plan {
  return planJob(inputOf(prompt, peers, more))
}

/** `a: sample decode | b: save`: where each node runs, loaders left out. */
export function shape({ stages, placements }: Plan): string {
  return stages
    .map(({ nodes }, index) => {
      const ids = nodes.filter(({ classType }) => !/Loader/.test(classType)).map(({ id }) => id)
      return `${placements[index]!.peerName}: ${ids.sort().join(' ')}`
    })
    .join(' | ')
}

/** Why each other peer was not taken for a stage. */
export function reasons({ placements }: Plan, stage = 0): Record<string, string> {
  const rejected = placements[stage]!.rejected
  return Object.fromEntries(rejected.map(({ peerName, reason }) => [peerName, reason]))
}
