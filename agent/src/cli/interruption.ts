/** How a user ends a command that works: Ctrl-C, `kill`, or the terminal closed. */

/** Where this program cannot go on after them: Windows raises SIGHUP for a closed console, and no SIGTERM. */
const interruptions = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type Interruption = (typeof interruptions)[number]

/**
 * Calls `listener` at the first of these signals. After that Ctrl-C and `kill` end the program at
 * once; a closed terminal may tell so twice, by itself and by its shell.
 * @returns what stops listening.
 */
export function onInterruption(listener: (signal: Interruption) => void): () => void {
  let isTold = false
  const hear = (signal: Interruption) => {
    for (const final of ['SIGINT', 'SIGTERM'] as const) process.off(final, hear)
    if (!isTold) listener(signal)
    isTold = true
  }
  for (const signal of interruptions) process.on(signal, hear)
  return () => {
    for (const signal of interruptions) process.off(signal, hear)
  }
}
