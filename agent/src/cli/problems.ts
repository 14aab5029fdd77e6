/** Errors as a user reads them. */
import { type ErrorReport, MeshError } from '@comfymesh/protocol/errors'
import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { UsageError } from './arguments.ts'

/** `KSampler (node 3)`, or `"My sampler" (KSampler, node 3)` where the user named it. */
export function nodeName(prompt: Prompt, nodeId: string): string {
  const node = prompt[nodeId]
  if (node === undefined) return `node ${nodeId}`
  const title = titleOf(node)
  const { class_type: className }: { readonly class_type?: unknown } = node
  return className === undefined || title === className
    ? `${title} (node ${nodeId})`
    : `"${title}" (${className}, node ${nodeId})`
}

/** Why a job failed, and at which node. */
export function failureLine(error: ErrorReport, prompt: Prompt, nodeId?: string): string {
  return nodeId === undefined ? error.message : `${nodeName(prompt, nodeId)}: ${error.message}`
}

/** What a failed command says. Only a bug of ours is told with its stack. */
export function errorLines(error: unknown, command?: string): string[] {
  if (error instanceof UsageError) {
    return [error.message, `See: comfymesh ${command === undefined ? '' : `${command} `}--help`]
  }
  if (error instanceof MeshError && error.code !== 'internal') return [error.message]
  if (error instanceof Error && !(error instanceof MeshError) && !(error instanceof TypeError)) {
    return [error.message]
  }
  return [`This is a bug of comfymesh: ${error instanceof Error ? error.stack : String(error)}`]
}
