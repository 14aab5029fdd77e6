/**
 * An executor of plain test nodes, in this process: whole numbers, steps, failures,
 * pictures, and values that travel as the native executor's do. The nodes TN_* are those of
 * ComfyUI's transcripts.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import {
  isLink,
  type NodeDefinition,
  type NodeDefinitions,
  type NodeLink,
} from '@comfymesh/protocol/workflow'
import type {
  Executor,
  MadeValue,
  RunOptions,
  Stage,
  StageEvent,
  StageNode,
} from '../src/executors/executor.ts'
import { normalNoise } from '../src/executors/native/sampling/noise.ts'
import { handOut, readOutput } from '../src/executors/native/travel/stage-values.ts'
import type { Image } from '../src/executors/native/values.ts'

function define(
  name: string,
  required: JsonObject,
  output: string[],
  more: { optional?: JsonObject; outputNode?: boolean; hidden?: Record<string, string> } = {},
): NodeDefinition {
  const { optional, hidden } = more
  const input = { required, ...(optional && { optional }), ...(hidden && { hidden }) }
  return {
    input: input as unknown as NodeDefinition['input'],
    input_order: { required: Object.keys(required) },
    is_input_list: false,
    output,
    output_is_list: output.map(() => false),
    output_name: output,
    name,
    display_name: name,
    description: '',
    python_module: 'test',
    category: 'test',
    output_node: more.outputNode ?? false,
    has_intermediate_output: false,
  }
}

const linkedInt: JsonValue = ['INT', { forceInput: true }]

export const testDefinitions: NodeDefinitions = Object.fromEntries(
  [
    define('TN_Int', { value: ['INT', { default: 1, min: 0, max: 100 }] }, ['INT'], {
      optional: {
        f: ['FLOAT', { default: 0.5, min: 0.0, max: 1.0 }],
        mode: [['a', 'b'], {}],
      },
    }),
    define('TN_Seed', { seed: ['INT', { min: 0, max: 18446744073709551615n }] }, ['INT']),
    define('TN_Text', { text: ['STRING', {}] }, ['STRING']),
    define('TN_Add', { a: linkedInt, b: ['INT', {}] }, ['INT']),
    define(
      'TN_Steps',
      {
        x: linkedInt,
        steps: ['INT', { default: 2 }],
        ms: ['INT', { default: 0 }],
        preview: ['BOOLEAN', { default: false }],
      },
      ['INT'],
    ),
    define('TN_Fail', { x: linkedInt }, ['INT']),
    define('TN_Die', { x: linkedInt, times: ['INT', { default: 1 }] }, ['INT']),
    define('TN_Out', { x: linkedInt }, [], { outputNode: true }),
    define('TN_Model', { model: ['MODEL', {}] }, [], { outputNode: true }),
    define('TN_Validated', { x: ['INT', { default: 1, min: 0, max: 10 }] }, ['INT']),
    define('TN_Id', {}, ['STRING'], { hidden: { id: 'UNIQUE_ID' } }),
    define(
      'TN_Pixels',
      { seed: ['INT', {}], batch: ['INT', { default: 1 }], side: ['INT', { default: 8 }] },
      ['IMAGE'],
    ),
    define('TN_Brighten', { images: ['IMAGE', {}], by: ['FLOAT', { default: 0.5 }] }, ['IMAGE']),
    define('TN_Show', { images: ['IMAGE', {}] }, [], { outputNode: true }),
    define('TN_File', { name: ['STRING', {}] }, ['INT']),
    define(
      'TN_Save',
      {
        x: linkedInt,
        filename_prefix: ['STRING', { default: 'ComfyUI' }],
        count: ['INT', { default: 1 }],
        folder: [['output', 'temp'], {}],
      },
      [],
      { outputNode: true },
    ),
    define(
      'CheckpointLoaderSimple',
      {
        ckpt_name: [
          ['v1-5-pruned-emaonly-fp16.safetensors'],
          { tooltip: 'The name of the checkpoint (model) to load.' },
        ],
      },
      ['MODEL', 'CLIP', 'VAE'],
    ),
    define('LoadImage', { image: [['example.png'], { image_upload: true }] }, ['IMAGE', 'MASK']),
    define('PreviewImage', { images: ['IMAGE', {}] }, [], { outputNode: true }),
  ].map((definition) => [definition.name, definition]),
)

/** The custom validations of the test nodes. */
export function testValidation(classType: string) {
  if (classType === 'TN_Validated')
    return {
      inputs: ['x'],
      check: async ({ x }: JsonObject) => (Number(x) > 100 ? 'x too big for me' : undefined),
    }
  if (classType === 'LoadImage')
    return {
      inputs: ['image'],
      check: async ({ image }: JsonObject) =>
        image === 'example.png' ? undefined : `Invalid image file: ${image}`,
    }
  return undefined
}

export interface FakeExecutor extends Executor {
  /** Ids of the stages that ran, in order. */
  readonly stages: string[]
  /** Classes of the nodes that ran, in order. */
  readonly ran: string[]
  /** What was to be freed, each time. */
  readonly freed: ('models' | 'all')[]
  /** What TN_File reads, by name. */
  readonly files: Map<string, string>
  /** When set, stages wait for it before their first node. */
  gate: Promise<void> | undefined
}

export interface FakeExecutorOptions {
  /** Whether outputs are remembered by signature, as the native executor does. */
  readonly cache?: boolean
  /** Where values are written: the staging folder of a blob store; a new folder by default. */
  readonly valuesFolder?: string
}

export function createFakeExecutor(options: FakeExecutorOptions = {}): FakeExecutor {
  const known = new Map<string, { readonly value: unknown; readonly shown: object }>()
  const valuesFolder = () => options.valuesFolder ?? mkdtempSync(join(tmpdir(), 'fake-values-'))
  const deaths = new Map<string, number>()
  const fake: FakeExecutor = {
    name: 'fake',
    stages: [],
    ran: [],
    freed: [],
    files: new Map(),
    gate: undefined,
    start: async () => {},
    stop: async () => {},
    definitions: async () => testDefinitions,
    fingerprint: async (classType, inputs) =>
      classType === 'TN_File' ? fake.files.get(String(inputs.name)) : undefined,
    validation: testValidation,
    prepare: () => {},
    free: async ({ outputs }) => {
      fake.freed.push(outputs ? 'all' : 'models')
      if (outputs) known.clear()
    },
    estimate: async () => ({ memoryBytes: 0 }),
    async run(stage, runOptions) {
      fake.stages.push(stage.id)
      const cancelled = aborted(runOptions.signal)
      await Promise.race([fake.gate, cancelled])
      const values = new Map<string, unknown>()
      for (const node of stage.nodes) {
        await new Promise((resolve) => setImmediate(resolve))
        if (runOptions.signal.aborted) throw new MeshError('interrupted', 'cancelled')
        const nodeId = node.id
        const recalled = options.cache ? known.get(node.signature) : undefined
        if (recalled !== undefined) {
          values.set(nodeId, recalled.value)
          const event = { type: 'node-finished', nodeId, cached: true, elapsedMs: 0 } as const
          runOptions.report({ ...event, ...recalled.shown })
          continue
        }
        fake.ran.push(node.classType)
        let shown = {}
        const report = (event: StageEvent) => {
          if (event.type === 'node-finished') {
            const { pictures, ui } = event
            shown = { ...(pictures && { pictures }), ...(ui && { ui }) }
          }
          runOptions.report(event)
        }
        const inputs = await resolveInputs(node, stage, values)
        const value = await runNode(node, stage, inputs, { report, cancelled }, deaths)
        values.set(nodeId, value)
        known.set(node.signature, { value, shown })
      }
      const made: MadeValue[] = []
      for (const output of stage.outputs) {
        const value = output.slot === 0 ? values.get(output.nodeId) : undefined
        made.push(await handOut(output, value, valuesFolder()))
      }
      return { provider: 'cpu', sessionMs: 1, values: made }
    },
  }
  return fake
}

/** Every node has one output: its links name slot 0. */
async function resolveInputs(
  node: StageNode,
  stage: Stage,
  values: ReadonlyMap<string, unknown>,
): Promise<Map<string, unknown>> {
  const resolve = async ([nodeId, slot]: NodeLink): Promise<unknown> => {
    if (values.has(nodeId)) return values.get(nodeId)
    const parts = stage.inputs.filter((input) => input.nodeId === nodeId && input.slot === slot)
    if (parts.length > 0) return readOutput(parts)
    const details = { nodeId: node.id, classType: node.classType }
    throw new MeshError('node_failed', `nothing gives the output of node ${nodeId}`, { details })
  }
  const resolved = new Map<string, unknown>()
  for (const [name, value] of Object.entries(node.inputs))
    resolved.set(name, isLink(value) ? await resolve(value) : value)
  return resolved
}

async function runNode(
  node: StageNode,
  stage: Stage,
  inputs: ReadonlyMap<string, unknown>,
  { report, cancelled }: Pick<RunOptions, 'report'> & { readonly cancelled: Promise<never> },
  deaths: Map<string, number>,
): Promise<unknown> {
  const input = (name: string): unknown => inputs.get(name) ?? null
  const nodeId = node.id
  report({ type: 'node-started', nodeId })
  const finish = (value: unknown, more: { ui?: JsonObject } = {}) => {
    report({ type: 'node-finished', nodeId, cached: false, elapsedMs: 1, ...more })
    return value
  }
  switch (node.classType) {
    case 'TN_Int':
    case 'TN_Validated':
      return finish(input('value') ?? input('x'))
    case 'TN_Seed':
      return finish(input('seed'))
    case 'TN_Add':
      return finish(Number(input('a')) + Number(input('b')))
    case 'TN_Steps': {
      const steps = Number(input('steps'))
      for (let step = 1; step <= steps; step++) {
        await Promise.race([
          new Promise((resolve) => setTimeout(resolve, Number(input('ms')))),
          cancelled,
        ])
        const preview = { bytes: tinyPng(), mediaType: 'image/png', width: 1, height: 1 } as const
        const shown = input('preview') === true ? { preview } : {}
        report({ type: 'node-progress', nodeId, value: step, max: steps, ...shown })
      }
      return finish(input('x'))
    }
    case 'TN_Fail': {
      const details = { nodeId, classType: node.classType }
      throw new MeshError('node_failed', `boom ${input('x')}`, { details })
    }
    case 'TN_Die': {
      const died = deaths.get(stage.jobId) ?? 0
      deaths.set(stage.jobId, died + 1)
      if (died < Number(input('times'))) throw new MeshError('runner_died', 'The runner died.')
      return finish(input('x'))
    }
    case 'TN_Out':
      return finish(null, { ui: { text: [String(input('x'))] } })
    case 'TN_Pixels': {
      const [batch, side] = [Number(input('batch')), Number(input('side'))]
      return finish(normalNoise([batch, side, side, 3], Number(input('seed'))))
    }
    case 'TN_Brighten': {
      const { data, shape } = input('images') as Image
      return finish({ data: data.map((value) => value + Number(input('by'))), shape })
    }
    case 'TN_Show': {
      const { data, shape } = input('images') as Image
      const entry = data.length / shape[0]!
      const pictures = Array.from({ length: shape[0]! }, (_, batchIndex) => ({
        bytes: tinyPng(data.subarray(batchIndex * entry, (batchIndex + 1) * entry)),
        mediaType: 'image/png' as const,
        width: 1,
        height: 1,
        folder: 'output' as const,
        filenamePrefix: 'shown',
        batchIndex,
      }))
      report({ type: 'node-finished', nodeId, cached: false, elapsedMs: 1, pictures })
      return null
    }
    case 'TN_Save': {
      const count = Number(input('count'))
      const pictures = Array.from({ length: count }, (_, batchIndex) => ({
        bytes: tinyPng(),
        mediaType: 'image/png' as const,
        width: 1,
        height: 1,
        folder: input('folder') as 'output' | 'temp',
        filenamePrefix: String(input('filename_prefix')),
        batchIndex,
      }))
      report({ type: 'node-finished', nodeId, cached: false, elapsedMs: 1, pictures })
      return null
    }
    default:
      return finish(node.classType)
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    const stop = () => reject(new MeshError('interrupted', 'cancelled'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  promise.catch(() => {})
  return promise
}

/** A picture of one pixel: grey, or in a colour that other values would hardly give. */
export function tinyPng(values?: Float32Array): Uint8Array {
  const chunk = (type: string, data: Uint8Array) => {
    const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(type), data, Buffer.alloc(4)])
    bytes.writeUInt32BE(data.length, 0)
    bytes.writeUInt32BE(crc32(bytes.subarray(4, bytes.length - 4)), bytes.length - 4)
    return bytes
  }
  const [colourType, pixel] =
    values === undefined ? [GREY, Buffer.from([128])] : [RGBA, colourOf(values)]
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, colourType, 0, 0, 0])
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat([Buffer.of(0), pixel]))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** PNG's colour types. */
const GREY = 0
const RGBA = 6

function colourOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  const colour = Buffer.alloc(4)
  colour.writeUInt32BE(crc32(Buffer.from(buffer, byteOffset, byteLength)))
  return colour
}
