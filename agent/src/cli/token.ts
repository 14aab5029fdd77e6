/** `comfymesh token`: what clients have to show to an agent that others can reach. */
import { openAccessToken, rotateAccessToken } from '../store/access-token.ts'
import { type Arguments, isGiven, settingFlags, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { settingRows } from './setting-rows.ts'
import { loadSettings } from './settings.ts'

export const tokenCommand: Command = {
  name: 'token',
  summary: 'Print the token that opens the agent to other machines',
  usage: 'token [options]',
  description:
    'An agent that listens on more than 127.0.0.1 asks for it: as the link that `start` prints, as ' +
    '`Authorization: Bearer <token>`, as the password of a URL, or as ?token= of the WebSocket.',
  options: [
    {
      flag: 'rotate',
      description: 'Makes a new one first; the old one opens nothing any more, at once',
    },
  ],
  settings: [settingRows.dataDir, settingRows.token],
  examples: [
    { command: 'comfymesh token', what: 'print it, made anew if there is none' },
    { command: 'comfymesh token --rotate', what: 'lock out whoever has the old one' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const { dataDir, token } = loadSettings({ flags: settingFlags(given) })
  const rotate = isGiven(given, 'rotate')
  if (token !== undefined && rotate) {
    throw new UsageError(
      'The token is set by hand (--token, COMFYMESH_TOKEN or comfymesh.yaml); change it there.',
    )
  }
  if (token === false)
    throw new UsageError('The settings let everybody use the agent without a token.')
  console.log(token ?? (rotate ? rotateAccessToken(dataDir) : openAccessToken(dataDir)()))
  return 0
}
