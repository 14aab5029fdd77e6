/** `comfymesh invite`: one line by which another machine joins the mesh of this one. */
import { type IssuedInvite, issuedInviteSchema } from '@comfymesh/protocol/mesh'
import { neededAgent } from './agent-access.ts'
import { type Arguments, isGiven, settingFlags, textOf, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { askMesh } from './mesh-access.ts'
import { settingRows } from './setting-rows.ts'
import { loadSettings } from './settings.ts'
import { terminalAt } from './terminal.ts'

/** The settings by which the commands about the mesh find their agent. */
export const agentSettings = [
  settingRows.dataDir,
  settingRows.port,
  settingRows.host,
  settingRows.token,
]

export const inviteCommand: Command = {
  name: 'invite',
  summary: 'Print a line by which another machine joins this mesh',
  usage: 'invite [options]',
  description:
    'The line is as good as a key: send it the way you would send a password. This agent has to run ' +
    'when the other machine joins.',
  options: [
    {
      flag: 'uses',
      placeholder: '<number>',
      description: 'How many machines may join by it',
      defaults: '1',
    },
    {
      flag: 'expires',
      placeholder: '<time>',
      description: 'How long it counts: 30m, 1h, 7d',
      defaults: '1h',
    },
    { flag: 'json', description: 'Prints one JSON object instead of text' },
  ],
  settings: agentSettings,
  examples: [
    { command: 'comfymesh invite', what: 'for one machine, within the next hour' },
    { command: 'comfymesh invite --uses 20 --expires 1d', what: 'for a room full of them' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  if (given.positionals.length > 0)
    throw new UsageError(`invite takes no '${given.positionals[0]}'.`)
  const uses = usesOf(textOf(given, 'uses') ?? '1')
  const expiresInMs = durationOf(textOf(given, 'expires') ?? '1h')
  const agent = await neededAgent(loadSettings({ flags: settingFlags(given) }))
  const invite = await askMesh(agent, 'POST', 'invites', issuedInviteSchema, { uses, expiresInMs })
  if (isGiven(given, 'json')) console.log(JSON.stringify(invite))
  else tell(invite)
  return 0
}

/** The line alone on standard output, so that it can be piped; how to use it beside it. */
function tell({ line, uses, expiresAtMs }: IssuedInvite): void {
  console.log(line)
  const { paint } = terminalAt(process.stderr)
  const machines = uses === 1 ? 'one machine' : `${uses} machines`
  const until = new Date(expiresAtMs).toLocaleString()
  console.error(paint('dim', `For ${machines}, until ${until}. There: comfymesh join <line>`))
}

function usesOf(text: string): number {
  const uses = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (uses < 1 || uses > 1000)
    throw new UsageError(`--uses should be from 1 to 1000, not '${text}'.`)
  return uses
}

const UNIT_MS: { readonly [unit: string]: number } = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const MAX_DAYS = 30

/** @throws UsageError */
function durationOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? []
  const durationMs = unit === undefined ? 0 : Math.round(Number(number) * UNIT_MS[unit]!)
  if (durationMs >= 1000 && durationMs <= MAX_DAYS * UNIT_MS.d!) return durationMs
  throw new UsageError(
    `--expires should be a time of at most ${MAX_DAYS} days such as 30m, 1h or 7d, not '${text}'.`,
  )
}
