/** A value that others follow: each hears it at once, then every change, and a pulse in between if it wants. */

export interface Feed<T> {
  set(value: T): void
  current(): T
  /** The value, then changes; undefined as a sign of life for those who want pulses. */
  follow(signal: AbortSignal, wantsPulses: boolean): AsyncGenerator<T | undefined>
  stop(): void
}

interface Waiting {
  readonly wake: () => void
  readonly wantsPulses: boolean
}

export function createFeed<T>(options: { readonly initial: T; readonly pulseMs: number }): Feed<T> {
  let value = options.initial
  let version = 0
  const waiting = new Set<Waiting>()
  const wakeAll = () => {
    for (const { wake } of [...waiting]) wake()
  }
  const pulse = () => {
    for (const { wake, wantsPulses } of [...waiting]) if (wantsPulses) wake()
  }
  // One clock for all followers: a hundred timers would cost more than what they send.
  const timer = setInterval(pulse, options.pulseMs)
  timer.unref()

  function woken(signal: AbortSignal, wantsPulses: boolean): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(one)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const one = { wake, wantsPulses }
      waiting.add(one)
      signal.addEventListener('abort', wake)
    })
  }

  return {
    current: () => value,
    set(next) {
      value = next
      version++
      wakeAll()
    },
    async *follow(signal, wantsPulses) {
      let told = version
      yield value
      while (!signal.aborted) {
        if (told === version) await woken(signal, wantsPulses)
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
