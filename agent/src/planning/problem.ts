/** What can be wrong with a prompt, in the words that ComfyUI's clients know. */
import type { JsonObject } from '@comfymesh/protocol/json'
import type { Problem } from '@comfymesh/protocol/refusal'

/** Problems whose message is always the same. */
const messages = {
  prompt_no_outputs: 'Prompt has no outputs',
  prompt_outputs_failed_validation: 'Prompt outputs failed validation',
  required_input_missing: 'Required input is missing',
  bad_linked_input: 'Bad linked input, must be a length-2 list of [node_id, slot_index]',
  return_type_mismatch: 'Return type mismatch between linked nodes',
  custom_validation_failed: 'Custom validation failed for node',
  dependency_cycle: 'Dependency cycle detected',
  exception_during_validation: 'Exception when validating node',
  exception_during_inner_validation: 'Exception when validating inner node',
} as const

export type FixedProblem = keyof typeof messages

export function problem(type: FixedProblem, details: string, extra_info: JsonObject): Problem {
  return { type, message: messages[type], details, extra_info }
}
