/** Terminals for tests: what is painted stays plain. */
import type { Terminal } from '../../src/cli/terminal.ts'

export const plainTerminal: Terminal = {
  isInteractive: false,
  columns: 100,
  hasTrueColor: false,
  paint: (_style, text) => text,
}

export const interactiveTerminal: Terminal = { ...plainTerminal, isInteractive: true }
