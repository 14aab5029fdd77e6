/** Workflows and prompts to run, under /v1. */

import {
  type ConversionWarning,
  type ConvertedPrompt,
  convertWorkflow,
} from '@comfymesh/protocol/convert/convert-workflow'
import { MeshError } from '@comfymesh/protocol/errors'
import { jobStatuses } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { findInput, titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { NodeErrors } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { z } from 'zod'
import type { JobRunner } from '../../execution/job-runner.ts'
import type { SubmissionResult } from '../../execution/submissions.ts'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'
import { linksOf, linksSchema } from './job-schemas.ts'
import { bodySchema, readWorkflowBody, type WorkflowBody } from './workflow-body.ts'

type Jobs = Pick<JobRunner, 'definitions' | 'submit'>

export const warningSchema = z.object({
  message: z.string(),
  nodeId: z.string().optional(),
  unknownClass: z.string().optional().describe('The class of that node, where nobody knows it'),
})

const acceptedSchema = z.object({
  id: z.string(),
  number: z.number().describe('The place in the queue: the lowest runs first'),
  status: z.enum(jobStatuses),
  warnings: z.array(warningSchema).describe('What is odd, but did not keep it from running'),
  links: linksSchema,
})

const convertedSchema = z.object({
  prompt: z.record(z.string(), z.looseObject({ inputs: z.record(z.string(), z.unknown()) })),
  warnings: z.array(warningSchema),
})

const submitAnswers = {
  201: { description: 'Accepted: it is on disk and in the queue', schema: acceptedSchema },
  400: { description: "It cannot run; `details.nodeErrors` says where, in ComfyUI's words" },
  503: { description: 'The queue is full' },
}

const description =
  'The body is a workflow as ComfyUI saves it or a prompt in its API format, bare or wrapped. ' +
  'A workflow is converted as the official frontend would, and kept in the pictures.'

export function workflowRoutes({ runner }: { readonly runner: Jobs }): Route[] {
  const submitting = (path: string, summary: string): Route => ({
    method: 'POST',
    path,
    documentation: { summary, description, body: bodySchema, answers: submitAnswers },
    handle: (request) => submit(runner, request),
  })
  return [
    submitting('/v1/workflows', 'Run a workflow or a prompt'),
    submitting('/v1/jobs', 'The same as POST /v1/workflows'),
    {
      method: 'POST',
      path: '/v1/workflows/convert',
      documentation: {
        summary: 'Convert a workflow to a prompt, without running it',
        body: bodySchema,
        answers: { 200: { description: 'The prompt', schema: convertedSchema } },
      },
      handle: async (request) => {
        const body = readWorkflowBody(jsonBody(request))
        return json(promptOf(body, await runner.definitions()))
      },
    },
  ]
}

export interface ReadyPrompt {
  readonly prompt: ConvertedPrompt | JsonObject
  readonly warnings: readonly ConversionWarning[]
}

/** The prompt of the body, converted where it is a workflow, with what was asked to be set. */
export function promptOf(body: WorkflowBody, definitions: NodeDefinitions): ReadyPrompt {
  const { prompt, warnings }: ReadyPrompt =
    body.prompt !== undefined
      ? { prompt: structuredClone(body.prompt), warnings: [] }
      : convertWorkflow(body.workflow!, definitions, { now: new Date(), random: Math.random })
  for (const [target, value] of Object.entries(body.set ?? {})) {
    setInput(prompt as ConvertedPrompt, target, value, definitions)
  }
  return { prompt, warnings }
}

/** @throws MeshError `invalid_request` when the prompt has no such node or input. */
function setInput(
  prompt: ConvertedPrompt,
  target: string,
  value: JsonValue,
  definitions: NodeDefinitions,
): void {
  const refuse = (why: string) =>
    new MeshError('invalid_request', `set ${target}: ${why}`, { details: { target } })
  const found = findInput(prompt, target)
  if (found === undefined) {
    const names = Object.entries(prompt).map(([id, node]) => `${id} (${titleOf(node)})`)
    throw refuse(`there is no such node. There are: ${names.join(', ')}.`)
  }
  if ('ambiguous' in found) {
    throw refuse(`several nodes are called that; say which: ${found.ambiguous.join(', ')}.`)
  }
  const node = prompt[found.nodeId]!
  const definition = definitions[node.class_type ?? '']
  const names = Object.keys({ ...definition?.input.required, ...definition?.input.optional })
  const isKnown = names.includes(found.input) || Object.hasOwn(node.inputs ?? {}, found.input)
  if (definition !== undefined && !isKnown) {
    throw refuse(`${titleOf(node)} has no such input. It has: ${names.join(', ')}.`)
  }
  node.inputs = { ...node.inputs, [found.input]: value }
}

async function submit(runner: Jobs, request: Request): Promise<Answer> {
  const body = readWorkflowBody(jsonBody(request))
  const { prompt, warnings } = promptOf(body, await runner.definitions())
  const result = await runner.submit({
    prompt: prompt as JsonObject,
    extraData: extraDataOf(body),
    ...(body.id !== undefined && { id: body.id }),
    ...(body.front !== undefined && { front: body.front }),
  })
  if (!result.accepted) throw refused(result, warnings)
  const { id, number } = result.job.request
  const links = linksOf(id)
  const skipped = leftOut(result.nodeErrors)
  const { headers, ...answer } = json(
    { id, number, status: result.job.status, warnings: [...warnings, ...skipped], links },
    201,
  )
  return { ...answer, headers: { ...headers, location: links.self } }
}

/** Outputs that do not run, each with its reason. */
export function leftOut(nodeErrors: NodeErrors): ConversionWarning[] {
  return Object.entries(nodeErrors).map(([nodeId, { errors }]) => ({
    nodeId,
    message: `Left out: ${errors.map(({ message, details }) => `${message}: ${details}`).join('; ')}`,
  }))
}

type RefusedSubmission = Extract<SubmissionResult, { accepted: false }>

/** Credentials that clients send along for paid services: nothing here uses or keeps them. */
const SECRETS = ['auth_token_comfy_org', 'api_key_comfy_org']

export function extraDataOf({
  workflow,
  extra_data: given = {},
  client_id,
}: WorkflowBody): JsonObject {
  const kept = Object.entries(given).filter(([key]) => !SECRETS.includes(key))
  const { extra_pnginfo, ...rest } = Object.fromEntries(kept)
  const pngInfo = typeof extra_pnginfo === 'object' && extra_pnginfo !== null ? extra_pnginfo : {}
  const withWorkflow = workflow === undefined ? pngInfo : { workflow, ...pngInfo }
  return {
    ...rest,
    ...(Object.keys(withWorkflow).length > 0 && { extra_pnginfo: withWorkflow as JsonObject }),
    ...(client_id !== undefined && { client_id }),
  }
}

export function refused(
  { error, nodeErrors }: Pick<RefusedSubmission, 'error' | 'nodeErrors'>,
  warnings: readonly ConversionWarning[],
): MeshError {
  const why = [
    ...Object.entries(nodeErrors).flatMap(([nodeId, node]) =>
      node.errors.map(
        ({ message, details }) => `node ${nodeId} (${node.class_type}): ${message}: ${details}`,
      ),
    ),
    ...warnings.map(({ nodeId, message }) => (nodeId ? `node ${nodeId}: ${message}` : message)),
  ]
  const words = [error.details ? `${error.message}: ${error.details}` : error.message, ...why]
  return new MeshError('invalid_prompt', `${words.join('\n')}`, {
    details: { type: error.type, nodeErrors, warnings },
  })
}
