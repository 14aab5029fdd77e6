/** Makes a draft of a file: a prompt, a workflow, or a picture that carries one of them. */
import { convertWorkflow, isWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import { type JsonObject, type JsonValue, parseJson } from '@comfymesh/protocol/json'
import { promptSchema } from '@comfymesh/protocol/prompt-schema'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { isObject } from '../json-object.ts'
import type { Draft } from './draft.ts'
import { FORM_KEY, formOfText, formOfWorkflow } from './form-choice.ts'
import { pngTexts } from './png-text.ts'

export interface ReadDraft extends Draft {
  /** What was not as expected, in sentences. */
  readonly warnings: readonly string[]
}

/** @throws Error saying what is wrong with the file. */
export async function readDraft(file: File, definitions: NodeDefinitions): Promise<ReadDraft> {
  const bytes = new Uint8Array(await file.arrayBuffer())
  const texts = await pngTexts(bytes)
  const isPicture = file.type.startsWith('image/')
  // The prompt of a picture says how it was made, to the seed; its workflow travels along.
  const source = texts.get('prompt') ?? texts.get('workflow')
  if (isPicture && source === undefined) {
    throw new Error('This picture carries no prompt. ComfyUI writes it into PNG files only.')
  }
  const read = draftOf(document(source ?? new TextDecoder().decode(bytes)), definitions)
  const carried = texts.get('workflow')
  const workflow = carried === undefined ? undefined : document(carried)
  const name = file.name.replace(/\.(json|png)$/i, '')
  const whole = { ...read, name, ...(isObject(workflow) && { workflow }) }
  const form = whole.workflow ? formOfWorkflow(whole.workflow) : formOfText(texts.get(FORM_KEY))
  return { ...whole, ...(form && { form }) }
}

function document(text: string): JsonValue {
  try {
    // Python writes NaN where a node never equals itself; it is no JSON, and nothing needs it.
    return parseJson(text.replaceAll(/: NaN(?=[,}\]])/g, ': null'))
  } catch {
    throw new Error('This is no JSON. Drop a workflow or a prompt as ComfyUI saves them.')
  }
}

function draftOf(value: JsonValue, definitions: NodeDefinitions): ReadDraft {
  if (isWorkflow(value)) return workflowDraft(value as JsonObject, definitions)
  if (!isObject(value)) throw new Error('This is neither a workflow nor a prompt.')
  return promptDraft(isObject(value.prompt) ? value.prompt : value)
}

function workflowDraft(workflow: JsonObject, definitions: NodeDefinitions): ReadDraft {
  const { prompt, warnings } = convertWorkflow(workflow, definitions, {
    now: new Date(),
  })
  return {
    prompt: prompt as Prompt,
    workflow,
    isSeedRandom: false,
    warnings: warnings.map(({ message }) => message),
  }
}

function promptDraft(value: JsonObject): ReadDraft {
  const parsed = promptSchema.safeParse(value)
  const isPrompt =
    parsed.success &&
    Object.keys(value).length > 0 &&
    Object.values(parsed.data).every((node) => typeof node.class_type === 'string')
  if (!isPrompt) throw new Error('This is neither a workflow nor a prompt of ComfyUI.')
  return { prompt: value as unknown as Prompt, isSeedRandom: false, warnings: [] }
}
