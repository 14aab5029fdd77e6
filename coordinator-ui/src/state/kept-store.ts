/** A store whose value outlives a reload: it is kept in the browser at each change. */
import { type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { createStore, type Store } from './store.ts'

/** @param key under which the browser keeps it; undefined there is undefined here. */
export function keptStore<T>(key: string): Store<T | undefined> {
  const store = createStore<T | undefined>(read(key))
  store.subscribe(() => {
    try {
      const value = store.get()
      if (value === undefined) localStorage.removeItem(key)
      else localStorage.setItem(key, stringifyJson(value as JsonValue))
    } catch {
      // A full or forbidden storage: the value lives as long as the page does.
    }
  })
  return store
}

function read<T>(key: string): T | undefined {
  try {
    const text = localStorage.getItem(key)
    return text === null ? undefined : (parseJson(text) as T)
  } catch {
    return undefined
  }
}
