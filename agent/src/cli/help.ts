/** The texts of --help. */
import type { OptionRow } from './arguments.ts'
import type { Command } from './command.ts'
import type { Terminal } from './terminal.ts'

const WIDEST = 100
const COLUMN_GAP = 2

interface Entry {
  readonly left: string
  readonly right: string
}

/** The help of the whole program. */
export function programHelp(commands: readonly Command[], terminal: Terminal): string {
  const { columns } = terminal
  const section = sectionFor(terminal)
  return [
    'comfymesh turns the GPU PCs on a network into one ComfyUI.',
    '',
    section('Usage', ['comfymesh <command> [options]']),
    section(
      'Commands',
      table(
        commands.map(({ name, summary }) => ({ left: name, right: summary })),
        columns,
      ),
    ),
    section(
      'Options',
      table(
        [
          { left: '-h, --help', right: 'Help, also for one command: comfymesh run --help' },
          { left: '--version', right: 'The version' },
        ],
        columns,
      ),
    ),
  ].join('\n')
}

/** The help of one command. */
export function commandHelp(command: Command, terminal: Terminal): string {
  const { columns } = terminal
  const section = sectionFor(terminal)
  const entries = (rows: readonly OptionRow[]) => table(rows.map(optionEntry), columns)
  const parts = [
    `${command.summary}.`,
    '',
    section('Usage', [`comfymesh ${command.usage}`]),
    ...(command.description
      ? [`${wrap(command.description, Math.min(columns, WIDEST)).join('\n')}\n`]
      : []),
    ...(command.options.length > 0 ? [section('Options', entries(command.options))] : []),
    ...(command.settings ? [section('Settings of the agent', entries(command.settings))] : []),
    ...(command.settings
      ? [
          `${wrap(
            'Settings may also stand in the environment (--data-dir is COMFYMESH_DATA_DIR, and so on) ' +
              'or in comfymesh.yaml in the data folder. Flags win over the environment, it over the file.',
            Math.min(columns, WIDEST),
          ).join('\n')}\n`,
        ]
      : []),
    ...(command.examples.length > 0
      ? [section('Examples', exampleLines(command.examples, terminal))]
      : []),
  ]
  return parts.join('\n')
}

const sectionFor =
  ({ paint }: Terminal) =>
  (title: string, lines: readonly string[]): string =>
    [paint('bold', title), ...lines.map((line) => (line === '' ? '' : `  ${line}`)), ''].join('\n')

const exampleLines = (examples: Command['examples'], { paint }: Terminal): string[] =>
  examples.flatMap(({ command, what }) => [paint('dim', `# ${what}`), command])

function optionEntry({ flag, placeholder, description, defaults, repeatable }: OptionRow): Entry {
  const notes = [
    ...(defaults === undefined ? [] : [`default: ${defaults}`]),
    ...(repeatable ? ['may be repeated'] : []),
  ]
  const note = notes.length > 0 ? ` (${notes.join('; ')})` : ''
  return { left: `--${flag}${placeholder ? ` ${placeholder}` : ''}`, right: description + note }
}

/** Two columns; the right one is wrapped into what the terminal has left. */
function table(entries: readonly Entry[], columns: number): string[] {
  const leftWidth = Math.max(...entries.map(({ left }) => left.length)) + COLUMN_GAP
  const rightWidth = Math.max(30, Math.min(columns, WIDEST) - leftWidth - 2)
  return entries.flatMap(({ left, right }) =>
    wrap(right, rightWidth).map(
      (line, index) => (index === 0 ? left : '').padEnd(leftWidth) + line,
    ),
  )
}

/** Breaks a text at spaces into lines of at most `width` characters. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
