/** `comfymesh answer`: what the planner asks about a paused job, and what the user says to it. */
import { type JsonObject, stringifyJson } from '@comfymesh/protocol/json'
import { neededAgent } from './agent-access.ts'
import { type AgentAddress, requestJson } from './agent-client.ts'
import { type Arguments, isGiven, settingFlags, textOf, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { agentSettings } from './invite.ts'
import { readQueue } from './queue-client.ts'
import { chosenJob } from './queue-view.ts'
import { loadSettings } from './settings.ts'

export const answerCommand: Command = {
  name: 'answer',
  summary: 'Answer the question of a paused job',
  usage: 'answer [<job> [go | cancel | --peer <name>]] [options]',
  description:
    'A job whose prompt says "ask" waits when the machine it was meant for cannot run it. ' +
    'Without a job the questions are shown. A job is named by its place in `comfymesh queue` or by ' +
    'the beginning of its id.',
  options: [
    { flag: 'peer', placeholder: 'name', description: 'Runs it on this machine instead' },
    { flag: 'json', description: 'Prints one JSON object instead of text' },
  ],
  settings: agentSettings,
  examples: [
    { command: 'comfymesh answer', what: 'what is asked' },
    { command: 'comfymesh answer 1 go', what: 'run it as proposed' },
    { command: 'comfymesh answer 1 --peer studio-pc', what: 'run it there' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const [word, said, tooMuch] = given.positionals
  if (tooMuch !== undefined) throw new UsageError(`There is one word too many: '${tooMuch}'.`)
  const answer = answerOf(said, textOf(given, 'peer'))
  if (word !== undefined && answer === undefined)
    throw new UsageError('Say go, cancel, or --peer with the name of a machine.')
  const agent = await neededAgent(loadSettings({ flags: settingFlags(given) }))
  const told = word === undefined ? await questions(agent) : await tell(agent, word, answer!)
  console.log(isGiven(given, 'json') ? stringifyJson(told.data) : told.text)
  return 0
}

type Answer = 'go' | 'cancel' | { readonly peer: string }

/** @throws UsageError for a word that is no answer, or two of them. */
export function answerOf(said: string | undefined, peer: string | undefined): Answer | undefined {
  if (said !== undefined && peer !== undefined) throw new UsageError('Say one thing only.')
  if (peer !== undefined) return { peer }
  if (said === undefined || said === 'go' || said === 'cancel') return said
  throw new UsageError(`'${said}' is no answer. Say go, cancel, or --peer with a name.`)
}

interface Told {
  readonly text: string
  readonly data: JsonObject
}

async function questions(agent: AgentAddress): Promise<Told> {
  const data = await requestJson(agent, '/v1/jobs?status=paused')
  return { text: questionLines(data.jobs as unknown as readonly Asking[]).join('\n'), data }
}

interface Asking {
  readonly id: string
  readonly question?: string
}

export function questionLines(jobs: readonly Asking[]): string[] {
  if (jobs.length === 0) return ['No job waits for an answer.']
  return jobs.map(({ id, question = 'How is it to go on?' }) => `${id.slice(0, 8)}  ${question}`)
}

async function tell(agent: AgentAddress, word: string, answer: Answer): Promise<Told> {
  const id = chosenJob(await readQueue(agent), word)
  const body = stringifyJson({ answer } as unknown as JsonObject)
  const data = await requestJson(agent, `/v1/jobs/${id}/answer`, { method: 'POST', body })
  const text = answer === 'cancel' ? `${id} is cancelled.` : `${id} goes on.`
  return { text, data }
}
