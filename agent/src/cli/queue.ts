/** `comfymesh queue`: what waits and for how long, and everything to be done about it. */
import { type JsonObject, stringifyJson } from '@comfymesh/protocol/json'
import { closest } from '../base/closest.ts'
import { neededAgent } from './agent-access.ts'
import type { AgentAddress } from './agent-client.ts'
import { type Arguments, isGiven, settingFlags, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { changeQueue, type Queue, readQueue } from './queue-client.ts'
import { cancelledLines, chosenJob, queueLines } from './queue-view.ts'
import { settingRows } from './setting-rows.ts'
import { loadSettings } from './settings.ts'
import { terminalAt } from './terminal.ts'

/** What is asked of the agent: the change and its body. */
interface Change {
  readonly name: string
  readonly body?: JsonObject
}

/** Something that the command does, one row each. @throws UsageError for words that say nothing. */
type Action = (words: readonly string[], queue: Queue) => Change | undefined

const actions: { readonly [name: string]: Action } = {
  list: (words) => nothingMore(words),
  pause: (words) => nothingMore(words) ?? { name: 'pause' },
  resume: (words) => nothingMore(words) ?? { name: 'resume' },
  clear: (words) => nothingMore(words) ?? { name: 'clear' },
  first: (words, queue) => moved(jobsIn(words, queue), { to: 'front' }),
  move: moveOf,
  priority: priorityOf,
  cancel: (words, queue) => ({ name: 'cancel', body: { ids: jobsIn(words, queue) } }),
}

const USAGE =
  'list | pause | resume | move <job ...> front|end|before <job>|after <job> | first <job ...> | ' +
  'priority <job ...> high|normal|low|<number> | cancel <job ...> | clear'

export const queueCommand: Command = {
  name: 'queue',
  summary: 'Show the queue, pause it, reorder and cancel its jobs',
  usage: `queue [${USAGE}] [options]`,
  description:
    'A job is named by its place in the list or by the beginning of its id. A paused queue lets the ' +
    'jobs that run end and starts no other until it is resumed, also over restarts of the agent.',
  options: [{ flag: 'json', description: 'Prints one JSON object instead of text' }],
  settings: [settingRows.dataDir, settingRows.host, settingRows.port, settingRows.token],
  examples: [
    { command: 'comfymesh queue', what: 'what runs and waits, and for how long' },
    { command: 'comfymesh queue first 7', what: 'the seventh runs next' },
    { command: 'comfymesh queue move 5 6 before 2', what: 'two others before the second' },
    { command: 'comfymesh queue cancel 3f2a91c0', what: 'one that waits or runs' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const [name = 'list', ...words] = given.positionals
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (action === undefined) throw new UsageError(unknownAction(name))
  const agent = await neededAgent(loadSettings({ flags: settingFlags(given) }))
  const change = action(words, await readQueue(agent))
  const told = change && (await changeQueue(agent, change.name, change.body))
  await show(agent, told, isGiven(given, 'json'))
  return 0
}

async function show(agent: AgentAddress, told: JsonObject | undefined, asJson: boolean) {
  const queue = await readQueue(agent)
  if (asJson) console.log(stringifyJson({ ...told, ...queue }))
  else {
    const cancelled = told?.cancelled as readonly string[] | undefined
    const lines = queueLines(queue, terminalAt(process.stdout))
    for (const line of [...cancelledLines(cancelled ?? [], queue), ...lines]) console.log(line)
  }
}

function nothingMore([word]: readonly string[]): undefined {
  if (word !== undefined) throw new UsageError(`There is a word too many: '${word}'.`)
}

function moveOf(words: readonly string[], queue: Queue): Change {
  const [last, beforeLast] = [words.at(-1), words.at(-2)]
  if (last === 'front' || last === 'end')
    return moved(jobsIn(words.slice(0, -1), queue), { to: last })
  if (last !== undefined && (beforeLast === 'before' || beforeLast === 'after'))
    return moved(jobsIn(words.slice(0, -2), queue), { [beforeLast]: chosenJob(queue, last) })
  throw new UsageError('Say where to: front, end, before <job> or after <job>.')
}

function moved(ids: string[], target: JsonObject): Change {
  return { name: 'move', body: { ids, target } }
}

const priorities: { readonly [word: string]: number } = { high: 1, normal: 0, low: -1 }

function priorityOf(words: readonly string[], queue: Queue): Change {
  const level = words.at(-1) ?? ''
  const priority = /^\d$/.test(level) ? Number(level) : priorities[level]
  if (priority === undefined || words.length < 2)
    throw new UsageError('Say jobs and their priority: high, normal, low, or a number from 0 to 9.')
  return { name: 'priority', body: { ids: jobsIn(words.slice(0, -1), queue), priority } }
}

function jobsIn(words: readonly string[], queue: Queue): string[] {
  if (words.length === 0) throw new UsageError('Say which job.')
  return words.map((word) => chosenJob(queue, word))
}

function unknownAction(name: string): string {
  const names = Object.keys(actions)
  const meant = closest(name, names)
  return `\`queue\` does not know '${name}'. ${meant === undefined ? `It knows: ${names.join(', ')}.` : `Did you mean ${meant}?`}`
}
