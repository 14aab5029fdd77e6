/** `comfymesh mesh`: what is rarely needed: a new secret, a new identity. */
import { MeshError } from '@comfymesh/protocol/errors'
import { rotatedSchema } from '@comfymesh/protocol/mesh'
import { neededAgent, runningAgent } from './agent-access.ts'
import { type Arguments, isGiven, onlyPositional, settingFlags, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { agentSettings } from './invite.ts'
import { askMesh } from './mesh-access.ts'
import { rotatedLines } from './peers.ts'
import { type LoadedSettings, loadSettings } from './settings.ts'

export const meshCommand: Command = {
  name: 'mesh',
  summary: 'Change the secret of the mesh, or the identity of this machine',
  usage: 'mesh <rotate | new-identity> [options]',
  description:
    '`rotate` changes the secret: members that are there follow at once, the others when they are ' +
    'back, and all invites lose their worth. `new-identity` is for a data folder that was copied from ' +
    'another machine: this one becomes a member of its own.',
  options: [{ flag: 'json', description: 'Prints one JSON object instead of text' }],
  settings: agentSettings,
  examples: [{ command: 'comfymesh mesh rotate', what: 'after a secret may have got out' }],
  run,
}

const actions: {
  readonly [name: string]: (settings: LoadedSettings, asJson: boolean) => Promise<void>
} = {
  rotate,
  'new-identity': newIdentity,
}

async function run(given: Arguments): Promise<number> {
  const name = onlyPositional(given, 'action')
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (action === undefined)
    throw new UsageError(`mesh knows ${Object.keys(actions).join(' and ')}, not '${name}'.`)
  await action(loadSettings({ flags: settingFlags(given) }), isGiven(given, 'json'))
  return 0
}

async function rotate(settings: LoadedSettings, asJson: boolean): Promise<void> {
  const changed = await askMesh(await neededAgent(settings), 'POST', 'rotate', rotatedSchema)
  if (asJson) console.log(JSON.stringify(changed))
  else console.log(['The mesh has a new secret.', ...rotatedLines(changed)].join('\n'))
}

async function newIdentity(settings: LoadedSettings, asJson: boolean): Promise<void> {
  const agent = await runningAgent(settings)
  if (agent !== undefined) {
    const message = `The agent at ${agent.url} is using the identity. Stop it first.`
    throw new MeshError('mesh_unavailable', message)
  }
  const [{ openDatabase }, { renewIdentity }] = await Promise.all([
    import('../store/database.ts'),
    import('../mesh/identity.ts'),
  ])
  // Opened to be sure that no agent has this folder, whatever its port.
  const database = await openDatabase(settings.dataDir)
  try {
    const { peerId } = renewIdentity(settings.dataDir)
    if (asJson) console.log(JSON.stringify({ peerId }))
    else console.log(`This machine is ${peerId} from now on. Now: comfymesh start`)
  } finally {
    await database.close()
  }
}
