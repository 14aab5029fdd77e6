/** How the runner hears of a cancellation while it computes. */
import { MeshError } from '@comfymesh/protocol/errors'

/**
 * Lets messages that arrived meanwhile be read, then stops if one of them cancelled.
 * Twice, because an immediate that is set while polling runs before the next poll.
 * @throws MeshError `interrupted`
 */
export async function yieldToMessages(signal: AbortSignal): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
  if (signal.aborted) throw new MeshError('interrupted', 'the stage was cancelled')
}
