/** A function that makes something once a key. For functions whose answer never changes. */
export function memoized<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined || known.has(key)) return found!
    const made = make(key)
    known.set(key, made)
    return made
  }
}
