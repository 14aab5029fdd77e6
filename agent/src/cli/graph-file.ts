/**
 * Reads what a user wants to run: a workflow or a prompt, as a JSON file, from standard
 * input, or out of a picture that ComfyUI or comfymesh made.
 */
import { readFile } from 'node:fs/promises'
import { isWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import { MeshError } from '@comfymesh/protocol/errors'
import { type JsonObject, type JsonValue, parseJson } from '@comfymesh/protocol/json'
import { promptSchema } from '@comfymesh/protocol/prompt-schema'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { isPng, readPngText } from '../base/png-text.ts'
import { UsageError } from './arguments.ts'

/** At least one of the two; a picture usually carries both. */
export interface GraphFile {
  /** How to call it in a message. */
  readonly name: string
  readonly workflow?: JsonObject
  readonly prompt?: Prompt
}

/** @throws UsageError when there is no such file, or it holds neither. */
export async function readGraph(path: string): Promise<GraphFile> {
  const name = path === '-' ? 'standard input' : path
  const bytes = await readBytes(path)
  return isPng(bytes) ? graphOfPicture(bytes, name) : graphOf(parsed(bytes, name), name)
}

/** @throws UsageError when there is no such file, or it is no JSON. */
export async function readJson(path: string): Promise<JsonValue> {
  return parsed(await readBytes(path), path)
}

async function readBytes(path: string): Promise<Buffer> {
  if (path === '-') {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = unreadable[code ?? ''] ?? code ?? String(error)
    throw new UsageError(`${path} could not be read: ${reason}.`)
  }
}

const unreadable: { readonly [code: string]: string } = {
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder; name a file in it',
  ENOENT: 'there is no such file',
  EPERM: 'this user may not read it',
}

function parsed(bytes: Buffer, name: string): JsonValue {
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '')
  if (text.trim() === '') throw new UsageError(`${name} is empty.`)
  try {
    return parseJson(text)
  } catch (error) {
    throw new UsageError(`${name} is not valid JSON: ${jsonProblem((error as Error).message)}.`)
  }
}

/** V8 says `Unexpected token 'o', "not js"... is not valid JSON`, with the line breaks of the file. */
function jsonProblem(message: string): string {
  return message.replace(/, (.*) is not valid JSON$/s, ' in $1').replace(/(\\n|\s)+/g, ' ')
}

function graphOfPicture(bytes: Buffer, name: string): GraphFile {
  const texts = new Map(textsOf(bytes, name))
  const read = (keyword: string) => {
    const text = texts.get(keyword)
    return text === undefined ? undefined : parsed(Buffer.from(text), `The ${keyword} in ${name}`)
  }
  const workflow = read('workflow')
  const prompt = read('prompt')
  if (workflow === undefined && prompt === undefined) {
    throw new UsageError(
      `${name} is a picture without a workflow. Other programs leave it out when they save.`,
    )
  }
  return {
    name,
    ...(isWorkflow(workflow) && { workflow: workflow as JsonObject }),
    ...(prompt !== undefined && { prompt: promptOf(prompt, name) }),
  }
}

function textsOf(bytes: Buffer, name: string) {
  try {
    return readPngText(bytes)
  } catch (error) {
    if (error instanceof MeshError) throw new UsageError(`${name}: ${error.message}.`)
    throw error
  }
}

/** A workflow or a prompt, or a request to POST /prompt or POST /v1/workflows. */
function graphOf(content: JsonValue, name: string): GraphFile {
  if (isWorkflow(content)) return { name, workflow: content as JsonObject }
  if (!isRecord(content) || isNode(content.prompt) || isNode(content.workflow)) {
    return { name, prompt: promptOf(content, name) }
  }
  const inner = [content.workflow, content.prompt].filter((one) => one !== undefined)
  if (inner.length === 0) return { name, prompt: promptOf(content, name) }
  const workflow = inner.find(isWorkflow)
  const prompt = inner.find((one) => !isWorkflow(one))
  return {
    name,
    ...(workflow !== undefined && { workflow: workflow as JsonObject }),
    ...(prompt !== undefined && { prompt: promptOf(prompt, name) }),
  }
}

function promptOf(content: JsonValue, name: string): Prompt {
  const parsed = promptSchema.safeParse(content)
  const nodes = Object.entries(parsed.data ?? {})
  const isPrompt = nodes.length > 0 && nodes.every(([, node]) => isRecord(node.inputs ?? {}))
  if (!isPrompt) {
    throw new UsageError(
      `${name} is neither a workflow as ComfyUI saves it nor a prompt in its API format.`,
    )
  }
  const whole = nodes.map(([id, node]) => [id, { ...node, inputs: node.inputs ?? {} }])
  return Object.fromEntries(whole) as Prompt
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A node may be called "prompt" as well. */
const isNode = (value: unknown): boolean => isRecord(value) && typeof value.class_type === 'string'
