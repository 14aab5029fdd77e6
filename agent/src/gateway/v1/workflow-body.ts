/** What clients send to be run: a workflow or a prompt, bare or with more around it. */
import { isWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { promptSchema } from '@comfymesh/protocol/prompt-schema'
import { z } from 'zod'

const jsonObject = z.record(z.string(), z.custom<JsonValue>())

/** The body when there is more around the workflow or prompt. */
const wrappedSchema = z.object({
  workflow: jsonObject.optional().describe('As ComfyUI saves it; kept in the pictures'),
  prompt: jsonObject.optional().describe('In ComfyUI\'s API format ("Export (API)")'),
  set: z
    .record(z.string(), z.custom<JsonValue>())
    .optional()
    .describe('Inputs to change: `node.input` to value; a node by its id, title or class'),
  extra_data: jsonObject.optional().describe("ComfyUI's extra_data"),
  client_id: z.string().optional().describe('The WebSocket client that hears of the job'),
  id: z.string().optional().describe('The id of the job, a UUID; made where absent'),
  front: z.boolean().optional().describe('Before all others in the queue'),
})

/** For the OpenAPI document: what is accepted. */
export const bodySchema = z.union([
  wrappedSchema,
  z.looseObject({ nodes: z.array(z.looseObject({})) }).describe('A workflow'),
  z.record(z.string(), z.looseObject({ class_type: z.string() })).describe('A prompt'),
])

export interface WorkflowBody extends Omit<z.infer<typeof wrappedSchema>, 'workflow' | 'prompt'> {
  /** At least one of the two; a prompt counts, and the workflow is its drawing then. */
  readonly workflow?: JsonObject
  readonly prompt?: JsonObject
}

/** @throws ZodError, MeshError `invalid_request` for what is neither. */
export function readWorkflowBody(body: JsonValue): WorkflowBody {
  const given = jsonObject.parse(body)
  if (isWorkflow(given)) return { workflow: given }
  if (isPrompt(given)) return { prompt: given }
  const { workflow, prompt, ...rest } = wrappedSchema.parse(given)
  // Some call either of them by the other's name; what it is can be seen.
  const drawn = [workflow, prompt].find(isWorkflow)
  const ready = [prompt, workflow].find((one) => one !== undefined && !isWorkflow(one))
  if (drawn === undefined && ready === undefined) throw neither()
  return { ...rest, ...(drawn && { workflow: drawn }), ...(ready && { prompt: ready }) }
}

function isPrompt(value: JsonObject): boolean {
  const nodes = Object.values(value)
  const hasClass = (node: JsonValue) =>
    typeof node === 'object' && node !== null && 'class_type' in node
  return promptSchema.safeParse(value).success && nodes.length > 0 && nodes.some(hasClass)
}

function neither(): MeshError {
  return new MeshError(
    'invalid_request',
    'The body is neither a workflow nor a prompt, and has neither as "workflow" or "prompt". See GET /v1/openapi.json.',
  )
}
