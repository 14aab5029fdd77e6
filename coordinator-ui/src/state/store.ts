/** The smallest store that React can follow: a value, and who wants to know when it changes. */
import { useSyncExternalStore } from 'react'

export interface Store<T> {
  get(): T
  /** Sets the value, or what the function makes of the old one. */
  set(next: T | ((before: T) => T)): void
  /** @returns stops listening. */
  subscribe(listener: () => void): () => void
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial
  const listeners = new Set<() => void>()
  return {
    get: () => value,
    set(next) {
      const after = typeof next === 'function' ? (next as (before: T) => T)(value) : next
      if (Object.is(after, value)) return
      value = after
      for (const listener of listeners) listener()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get)
}
