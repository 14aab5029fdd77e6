/** Which sockets fit together: equal names, lists of them, and those that take anything. */

const ANYTHING: ReadonlySet<string> = new Set(['', '*', '0'])

/** Types are compared without regard to case; `IMAGE,MASK` fits whatever fits one of the two. */
export function typesFit(one: string, other: string): boolean {
  if (takesAnything(one) || takesAnything(other)) return true
  const names = parts(other)
  return parts(one).some((name) => takesAnything(name) || names.includes(name))
}

export const takesAnything = (type: string): boolean => ANYTHING.has(type)

const parts = (type: string): string[] => type.toLowerCase().split(',')
