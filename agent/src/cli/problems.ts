/** Errors as a user reads them. */
import { type ErrorReport, MeshError } from '@comfymesh/protocol/errors'
import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { UsageError } from './arguments.ts'

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
