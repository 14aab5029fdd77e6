/** Validation by what all peers offer, which is not all there while members are still on their way. */
import type { NodeErrors } from '@comfymesh/protocol/refusal'
import type { ValidationResult } from '../planning/validate.ts'

/** What is known of the members that are not here yet. */
export interface Gathering {
  /** How long one of them may still be on its way with what it offers; 0 where nobody is expected. */
  expectedMs(): number
  /** Tells when what is offered may have changed. @returns ends it. */
  onChange(listener: () => void): () => void
}

/** Of an agent without a mesh. */
export const nobodyExpected: Gathering = { expectedMs: () => 0, onChange: () => () => {} }

/** Members that come and go, one after the other, hold nobody up for longer. */
const LONGEST_MS = 5000

/**
 * A prompt that names a node or a model that nobody offers is judged again whenever something
 * changes, as long as somebody may bring it; any other verdict is final.
 * @param validate by what is offered at the moment.
 */
export async function validateInMesh(
  validate: () => Promise<ValidationResult>,
  gathering: Gathering,
  longestMs = LONGEST_MS,
): Promise<ValidationResult> {
  const untilMs = performance.now() + longestMs
  for (;;) {
    // Before it is judged: what comes meanwhile counts, too.
    const change = nextChange(gathering)
    try {
      const validation = await validate()
      const leftMs = untilMs - performance.now()
      const waitMs = change.hasCome() ? leftMs : Math.min(leftMs, gathering.expectedMs())
      if (!namesUnknown(validation) || waitMs <= 0) return validation
      await change.within(waitMs)
    } finally {
      change.end()
    }
  }
}

function nextChange(gathering: Gathering) {
  let hasCome = false
  let goOn = () => {}
  const end = gathering.onChange(() => {
    hasCome = true
    goOn()
  })
  return {
    end,
    hasCome: () => hasCome,
    /** Resolves when it has come, and after so long at the latest. */
    within: (ms: number) =>
      new Promise<void>((resolve) => {
        if (hasCome) return resolve()
        const timer = setTimeout(resolve, ms)
        goOn = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
  }
}

/** Also where other outputs can run: the one that cannot would be left out. */
function namesUnknown(validation: ValidationResult): boolean {
  if (!validation.valid && validation.error.type === 'missing_node_type') return true
  const nodeErrors: NodeErrors = validation.nodeErrors
  const problems = Object.values(nodeErrors).flatMap(({ errors }) => errors)
  return problems.some(({ type }) => type === 'value_not_in_list')
}
