/** `comfymesh plan`: what would run where, and why, before anything runs. */
import { type JsonObject, stringifyJson } from '@comfymesh/protocol/json'
import type { NodeErrors } from '@comfymesh/protocol/refusal'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { type AgentAccess, withAgent } from './agent-access.ts'
import { nodeDefinitions, PromptRefused, RequestRefused, requestJson } from './agent-client.ts'
import {
  type Arguments,
  isGiven,
  onlyPositional,
  settingFlags,
  settingOptions,
  textOf,
  textsOf,
  UsageError,
} from './arguments.ts'
import type { Command } from './command.ts'
import { convertToRun } from './conversion.ts'
import { type GraphFile, readGraph } from './graph-file.ts'
import { planLines, type ShownPlan } from './plan-view.ts'
import { tellRefusal } from './refusal.ts'
import { loadSettings } from './settings.ts'
import { terminalAt } from './terminal.ts'

export const planCommand: Command = {
  name: 'plan',
  summary: 'Show where a workflow would run, and why',
  usage: 'plan <workflow.json> [options]',
  description:
    'The file is as for run; - is standard input. Nothing runs: the stages are shown, what travels ' +
    'between machines, how long each would take, and for every other machine the reason why not.',
  options: [
    {
      flag: 'on',
      placeholder: '<node=peer>',
      description: 'Binds a node, by its id or class, to a machine, by its name or id',
      repeatable: true,
    },
    {
      flag: 'fallback',
      placeholder: '<none|ask|auto>',
      description: 'When that machine cannot: fail, ask, or take the best other',
      defaults: 'auto',
    },
    { flag: 'json', description: 'Prints one JSON object instead of text' },
  ],
  settings: settingOptions,
  examples: [
    { command: 'comfymesh plan portrait.json', what: 'show the plan' },
    {
      command: 'comfymesh plan portrait.json --on KSampler=studio-pc --fallback none',
      what: 'with the sampling on one machine',
    },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const file = await readGraph(onlyPositional(given, 'workflow or prompt file'))
  const fallback = textOf(given, 'fallback')
  const affinity = Object.fromEntries(textsOf(given, 'on').map(bindingOf))
  const options = { affinity, ...(fallback !== undefined && { fallback }) }
  return withAgent(loadSettings({ flags: settingFlags(given) }), async (agent) => {
    const asJson = isGiven(given, 'json')
    const prompt = await promptOf(file, agent)
    try {
      const shown = await requestPlan(agent, prompt, options)
      const lines = () =>
        planLines(shown as unknown as ShownPlan, prompt, terminalAt(process.stdout))
      for (const line of asJson ? [stringifyJson(shown)] : lines()) console.log(line)
      return 0
    } catch (error) {
      if (!(error instanceof PromptRefused)) throw error
      return tellRefusal(agent, { refusal: error.refusal, prompt, asJson })
    }
  })
}

async function promptOf({ prompt, workflow }: GraphFile, agent: AgentAccess): Promise<Prompt> {
  return prompt ?? convertToRun(workflow!, await nodeDefinitions(agent), console.error)
}

/** @throws PromptRefused when validation found nothing that can run. */
async function requestPlan(agent: AgentAccess, prompt: Prompt, options: JsonObject) {
  const body = stringifyJson({ prompt, extra_data: { comfymesh: options } })
  try {
    return await requestJson(agent, '/v1/plan', { method: 'POST', body })
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error
    const { type, nodeErrors } = error.details
    if (typeof type !== 'string' || nodeErrors === undefined) throw error
    throw new PromptRefused({
      error: { type, message: error.message, details: '', extra_info: {} },
      node_errors: nodeErrors as unknown as NodeErrors,
    })
  }
}

/** @throws UsageError */
function bindingOf(text: string): [node: string, peer: string] {
  const at = text.indexOf('=')
  if (at <= 0 || at === text.length - 1)
    throw new UsageError(`--on ${text}: it is a node and a machine, such as KSampler=studio-pc.`)
  return [text.slice(0, at), text.slice(at + 1)]
}
