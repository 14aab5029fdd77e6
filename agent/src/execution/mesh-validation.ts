/** Validation by what all peers offer, which is not all there while members are still on their way. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeErrors } from '../planning/problem.ts'
import type { ValidationResult } from '../planning/validate.ts'

/** Short beside the time that a peer takes to come. */
const AGAIN_MS = 100

/** Members that come and go, one after the other, hold nobody up for longer. */
const LONGEST_MS = 5000

/**
 * A prompt that names a node or a model that nobody offers is judged again as long as somebody may
 * bring it; any other verdict is final.
 * @param validate by what is offered at the moment.
 * @param isGathering whether members are expected.
 */
export async function validateInMesh(
  validate: () => Promise<ValidationResult>,
  isGathering: () => boolean,
  longestMs = LONGEST_MS,
): Promise<ValidationResult> {
  const untilMs = performance.now() + longestMs
  for (;;) {
    const validation = await validate()
    const mayChange = namesUnknown(validation) && isGathering()
    if (!mayChange || performance.now() >= untilMs) return validation
    await sleep(AGAIN_MS)
  }
}

/** Also where other outputs can run: the one that cannot would be left out. */
function namesUnknown(validation: ValidationResult): boolean {
  if (!validation.valid && validation.error.type === 'missing_node_type') return true
  const nodeErrors: NodeErrors = validation.nodeErrors
  const problems = Object.values(nodeErrors).flatMap(({ errors }) => errors)
  return problems.some(({ type }) => type === 'value_not_in_list')
}
