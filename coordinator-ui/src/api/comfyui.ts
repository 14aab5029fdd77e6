/** What the page asks of ComfyUI's API: node definitions, prompts, files. */
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { at, get, post, upload } from './http.ts'

/** A file that a job made or a user brought, as ComfyUI names it. */
export interface FileName {
  readonly filename: string
  readonly subfolder: string
  readonly type: string
}

export interface Submitted {
  readonly prompt_id: string
  readonly number: number
}

export function nodeDefinitions(signal?: AbortSignal): Promise<NodeDefinitions> {
  return get('api/object_info', signal)
}

/**
 * @param extraData what goes along: `extra_pnginfo` into the pictures, `comfymesh` to the planner.
 * @throws Refused whose body has `node_errors`, by node id.
 */
export function submitPrompt(
  prompt: Prompt,
  clientId: string,
  extraData: JsonObject,
): Promise<Submitted> {
  return post('api/prompt', { prompt, client_id: clientId, extra_data: extraData })
}

/** Where the file can be seen. @param maxSide a smaller copy is enough. */
export function fileUrl({ filename, subfolder, type }: FileName, preview = false): string {
  const query = new URLSearchParams({ filename, subfolder, type })
  if (preview) query.set('preview', 'webp;80')
  return at(`api/view?${query}`)
}

/** Puts a picture into the input folder. @returns its name there. */
export async function uploadPicture(file: File): Promise<string> {
  const form = new FormData()
  form.set('image', file)
  const { name, subfolder } = await upload<{ name: string; subfolder: string }>(
    'api/upload/image',
    form,
  )
  return subfolder === '' ? name : `${subfolder}/${name}`
}
