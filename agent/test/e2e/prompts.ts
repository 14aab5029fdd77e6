/** Prompts as users send them to the model that ships with the program, and what comes of them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JsonObject, type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import sharp from 'sharp'
import { ask, finished } from '../test-agent.ts'

export const CHECKPOINT = 'comfymesh-shapes.safetensors'

export interface PromptOptions {
  readonly text?: string
  readonly seed?: number | bigint
  readonly steps?: number
  /** Width and height in pixels. */
  readonly side?: number
  readonly checkpoint?: string
}

export type TestPrompt = { [nodeId: string]: { class_type: string; inputs: JsonObject } }

/** ComfyUI's default prompt, small and quick unless told otherwise. */
export function textToImage(options: PromptOptions = {}): TestPrompt {
  const { text = 'a red circle on a blue background', seed = 1, steps = 2, side = 64 } = options
  return {
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed,
        steps,
        cfg: 4.5,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        latent_image: ['5', 0],
      },
    },
    '4': {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: options.checkpoint ?? CHECKPOINT },
    },
    '5': {
      class_type: 'EmptyLatentImage',
      inputs: { width: side, height: side, batch_size: 1 },
    },
    '6': { class_type: 'CLIPTextEncode', inputs: { text, clip: ['4', 1] } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: '', clip: ['4', 1] } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'ComfyUI', images: ['8', 0] } },
  }
}

interface Reachable {
  readonly url: string
}

/** What a client sends. */
export function submission(prompt: TestPrompt, clientId?: string, extraData?: JsonObject): string {
  return stringifyJson({
    prompt,
    ...(clientId && { client_id: clientId }),
    ...(extraData && { extra_data: extraData }),
  } as JsonValue)
}

/** @returns the job's id. @throws Error when the prompt is refused. */
export async function submit(
  agent: Reachable,
  prompt: TestPrompt,
  clientId?: string,
  extraData?: JsonObject,
): Promise<string> {
  const answer = await ask(agent, 'POST', '/prompt', submission(prompt, clientId, extraData))
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`)
  return String(answer.body.prompt_id)
}

export interface HistoryEntry {
  readonly prompt: JsonValue[]
  readonly outputs: { readonly [nodeId: string]: { readonly images?: MadeImage[] } | undefined }
  readonly status: {
    readonly status_str: string
    readonly completed: boolean
    readonly messages: [type: string, data: JsonObject][]
  }
}

interface MadeImage {
  readonly filename: string
  readonly subfolder: string
  readonly type: string
}

/** Runs a prompt to its end. */
export async function runJob(agent: Reachable, prompt: TestPrompt): Promise<HistoryEntry> {
  return historyOf(agent, await submit(agent, prompt))
}

/** The history's entry of a job, once it ended. */
export async function historyOf(agent: Reachable, id: string): Promise<HistoryEntry> {
  return (await finished(agent, id)) as unknown as HistoryEntry
}

/** The error that a job ended with, as ComfyUI tells it. */
export function errorOf({ status }: HistoryEntry): JsonObject | undefined {
  return status.messages.find(([type]) => type === 'execution_error')?.[1]
}

/** The bytes of the only picture that node 9 saved, over HTTP. */
export async function pictureOf(agent: Reachable, { outputs, status }: HistoryEntry) {
  const images = outputs['9']?.images ?? []
  if (images.length !== 1) throw new Error(`${images.length} pictures: ${stringifyJson(status)}`)
  const response = await fetch(`${agent.url}/view?${new URLSearchParams({ ...images[0]! })}`)
  if (!response.ok) throw new Error(`/view answered ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}

/** Runs a prompt and gives the pixels of its picture as hexadecimal text. */
export async function pixelsOf(agent: Reachable, prompt: TestPrompt): Promise<string> {
  return decodePixels(await pictureOf(agent, await runJob(agent, prompt)))
}

/** RGB bytes of a picture, as text that compares well. */
export async function decodePixels(picture: Uint8Array): Promise<string> {
  return (await sharp(picture).removeAlpha().raw().toBuffer()).toString('hex')
}

/** The shipped checkpoint as it lies in the repository. */
export function shippedCheckpoint(): Buffer {
  const path = join('../../../models/checkpoints', CHECKPOINT)
  return readFileSync(new URL(path, import.meta.url))
}
