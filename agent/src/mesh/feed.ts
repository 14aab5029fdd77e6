/** A value that others follow: each hears it at once, then every change, and a pulse in between. */

export interface Feed<T> {
  set(value: T): void
  current(): T
  /** The value, then changes; undefined as a sign of life when there was none for a while. */
  follow(signal: AbortSignal): AsyncGenerator<T | undefined>
  stop(): void
}

export function createFeed<T>(options: { readonly initial: T; readonly pulseMs: number }): Feed<T> {
  let value = options.initial
  let version = 0
  const waiting = new Set<() => void>()
  const pulse = () => {
    for (const wake of [...waiting]) wake()
  }
  // One clock for all followers: a hundred timers would cost more than what they send.
  const timer = setInterval(pulse, options.pulseMs)
  timer.unref()

  function nextPulse(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  return {
    current: () => value,
    set(next) {
      value = next
      version++
      pulse()
    },
    async *follow(signal) {
      let told = version
      yield value
      while (!signal.aborted) {
        if (told === version) await nextPulse(signal)
        if (signal.aborted) return
        const isNew = told !== version
        told = version
        yield isNew ? value : undefined
      }
    },
    stop() {
      clearInterval(timer)
    },
  }
}
