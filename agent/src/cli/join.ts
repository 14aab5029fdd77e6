/** `comfymesh join`: makes this machine a member of the mesh of an invite. */
import { type Joined, joinedSchema } from '@comfymesh/protocol/mesh'
import type { AgentSettings } from '../agent.ts'
import { counted } from '../base/duration.ts'
import { runningAgent } from './agent-access.ts'
import { type Arguments, isGiven, onlyPositional, settingFlags } from './arguments.ts'
import type { Command } from './command.ts'
import { agentSettings } from './invite.ts'
import { askMesh } from './mesh-access.ts'
import { settingRows } from './setting-rows.ts'
import { loadSettings } from './settings.ts'

export const joinCommand: Command = {
  name: 'join',
  summary: 'Join the mesh of an invite',
  usage: 'join <line> [options]',
  description:
    'The line is what `comfymesh invite` printed on a machine of that mesh. Jobs, pictures and models ' +
    'of this machine stay as they are. Works while the agent of this machine runs, and before it does.',
  options: [
    { flag: 'leave', description: 'Leaves the mesh that this machine shares with others' },
    { flag: 'json', description: 'Prints one JSON object instead of text' },
  ],
  settings: [...agentSettings, settingRows.name],
  examples: [{ command: 'comfymesh join cm1_aeG...', what: 'become a member' }],
  run,
}

async function run(given: Arguments): Promise<number> {
  const invite = onlyPositional(given, 'invite')
  const leave = isGiven(given, 'leave')
  const settings = loadSettings({ flags: settingFlags(given) })
  const agent = await runningAgent(settings)
  const joined =
    agent === undefined
      ? await joinWithoutAgent(settings, invite, leave)
      : await askMesh(agent, 'POST', 'join', joinedSchema, { invite, leave })
  if (isGiven(given, 'json')) {
    console.log(JSON.stringify({ ...joined, running: agent !== undefined }))
    return 0
  }
  const others = joined.members - 1
  console.log(`Joined the mesh of ${joined.invitedBy}: ${counted(others, 'other machine')}.`)
  console.log(agent === undefined ? 'Now: comfymesh start' : 'See them with: comfymesh peers')
  return 0
}

/** The data folder alone, while no agent has it. */
async function joinWithoutAgent(
  settings: AgentSettings,
  invite: string,
  leave: boolean,
): Promise<Joined> {
  const { dataDir, name } = settings
  const [{ openDatabase }, { openPeerBook }, { loadIdentity }, { openMembership }, { askToJoin }] =
    await Promise.all([
      import('../store/database.ts'),
      import('../store/peer-book.ts'),
      import('../mesh/identity.ts'),
      import('../mesh/membership-store.ts'),
      import('../mesh/joining.ts'),
    ])
  const database = await openDatabase(dataDir)
  try {
    const identity = loadIdentity(dataDir)
    const membership = openMembership(dataDir, identity.peerId)
    const welcome = await askToJoin({ invite, leave, name }, identity, membership.current())
    membership.set(welcome.membership)
    const book = await openPeerBook(database, (message) => console.error(message))
    for (const one of welcome.acquaintances) {
      if (one.peerId !== identity.peerId) book.put({ ...one, lastSeenAtMs: 0 })
    }
    await book.settled()
    const { meshId, members } = welcome.membership
    return { meshId, members: members.length, invitedBy: welcome.acquaintances[0]!.name }
  } finally {
    await database.close()
  }
}
