/** How a user ends a command that works: Ctrl-C, `kill`, or the terminal closed. */

/** Windows raises SIGHUP where its console is closed, and knows no SIGTERM. */
const interruptions = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls `listener` at the first of these signals. After that Ctrl-C and `kill` end the program at
 * once; a closed terminal may tell so twice, by itself and by its shell.
 * @returns what stops listening.
 */
export function onInterruption(listener: () => void): () => void {
  let isTold = false
  const hear = () => {
    for (const final of ['SIGINT', 'SIGTERM'] as const) process.off(final, hear)
    if (!isTold) listener()
    isTold = true
  }
  for (const signal of interruptions) process.on(signal, hear)
  return () => {
    for (const signal of interruptions) process.off(signal, hear)
  }
}
