/** A door that one passes at a time, in order of arrival; who is cancelled leaves the line. */
import { MeshError } from '@comfymesh/protocol/errors'

/** Waits for one's turn; the returned function ends it. @throws MeshError `interrupted` */
export type TakeTurn = (signal: AbortSignal) => Promise<() => void>

export function createTurns(): TakeTurn {
  let last: Promise<void> = Promise.resolve()
  return async (signal) => {
    const before = last
    let release = (): void => {}
    const over = new Promise<void>((resolve) => {
      release = resolve
    })
    last = before.then(() => over)
    try {
      await untilAborted(before, signal)
    } catch (error) {
      release()
      throw error
    }
    return release
  }
}

/** The promise's outcome, unless the signal comes first. @throws MeshError `interrupted` */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new MeshError('interrupted', 'cancelled before it started'))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
