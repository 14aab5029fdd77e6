/** Reads the prompt that a user names: a file in ComfyUI's API format, or standard input. */
import { readFile } from 'node:fs/promises'
import { type JsonValue, parseJson } from '@comfymesh/protocol/json'
import { type Prompt, promptSchema } from '@comfymesh/protocol/workflow'
import { UsageError } from './arguments.ts'

/** @throws UsageError when there is no such file, or it is no prompt. */
export async function readPrompt(path: string): Promise<Prompt> {
  const name = path === '-' ? 'standard input' : path
  const text = await readText(path)
  let content: JsonValue
  try {
    content = parseJson(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new UsageError(`${name} is not valid JSON: ${(error as Error).message}.`)
  }
  return promptOf(content, name)
}

async function readText(path: string): Promise<string> {
  if (path === '-') {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  }
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'there is no such file' : (code ?? String(error))
    throw new UsageError(`${path} could not be read: ${reason}.`)
  }
}

/** The prompt itself, or the one inside a request to POST /prompt. */
function promptOf(content: JsonValue, name: string): Prompt {
  const record = (value: unknown): value is { [key: string]: JsonValue } =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  if (record(content) && Array.isArray(content.nodes)) {
    throw new UsageError(
      `${name} is a workflow as it is drawn. Export it in ComfyUI with "Export (API)" and run that file.`,
    )
  }
  const inner = record(content) && record(content.prompt) ? content.prompt : content
  const parsed = promptSchema.safeParse(inner)
  const isPrompt =
    parsed.success && Object.values(parsed.data).every((node) => record(node.inputs ?? {}))
  if (!isPrompt || Object.keys(parsed.data).length === 0) {
    throw new UsageError(`${name} is not a prompt in ComfyUI's API format.`)
  }
  const nodes = Object.entries(parsed.data).map(([id, node]) => [
    id,
    { ...node, inputs: node.inputs ?? {} },
  ])
  return Object.fromEntries(nodes) as Prompt
}
