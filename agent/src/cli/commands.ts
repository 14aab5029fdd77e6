/** The table of commands, and how one is found and run. */
import { closest } from '../base/closest.ts'
import { version } from '../base/version.ts'
import { answerCommand } from './answer.ts'
import { exitCodeOf, isGiven, parseArguments, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { convertCommand } from './convert.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { commandHelp, programHelp } from './help.ts'
import { inviteCommand } from './invite.ts'
import { joinCommand } from './join.ts'
import { meshCommand } from './mesh.ts'
import { peersCommand } from './peers.ts'
import { planCommand } from './plan.ts'
import { errorLines } from './problems.ts'
import { queueCommand } from './queue.ts'
import { runCommand } from './run.ts'
import { startCommand } from './start.ts'
import { statusCommand } from './status.ts'
import { terminalAt } from './terminal.ts'
import { tokenCommand } from './token.ts'

export const commands: readonly Command[] = [
  startCommand,
  runCommand,
  convertCommand,
  statusCommand,
  planCommand,
  queueCommand,
  answerCommand,
  demoCommand,
  doctorCommand,
  tokenCommand,
  inviteCommand,
  joinCommand,
  peersCommand,
  meshCommand,
]

/** Runs what the command line says and tells what went wrong. @returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  const terminal = terminalAt(process.stdout)
  if (name === '--version' || name === '-v') return tell(version)
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const about = commands.find((command) => command.name === rest[0])
    return tell(about ? commandHelp(about, terminal) : programHelp(commands, terminal))
  }
  const command = commands.find((one) => one.name === name)
  try {
    if (command === undefined) throw new UsageError(unknownCommand(name))
    const given = parseArguments([...command.options, ...(command.settings ?? [])], rest)
    return isGiven(given, 'help') ? tell(commandHelp(command, terminal)) : await command.run(given)
  } catch (error) {
    for (const line of errorLines(error, command?.name)) console.error(line)
    return exitCodeOf(error)
  }
}

function tell(text: string): number {
  console.log(text)
  return 0
}

function unknownCommand(name: string): string {
  const names = commands.map((command) => command.name)
  const meant = closest(name, names)
  const hint = meant === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${meant}?`
  return `There is no command '${name}'. ${hint}`
}
