/** The shape of a command; the table of them is commands.ts. */
import type { Arguments, OptionRow } from './arguments.ts'

export interface Command {
  readonly name: string
  /** One line without a full stop. */
  readonly summary: string
  readonly usage: string
  readonly description?: string
  readonly options: readonly OptionRow[]
  /** Settings of an agent that it takes as well. */
  readonly settings?: readonly OptionRow[]
  readonly examples: readonly { readonly command: string; readonly what: string }[]
  /** @returns the exit code: 0 done, 1 failed, 2 asked wrongly. */
  run(given: Arguments): Promise<number>
}
