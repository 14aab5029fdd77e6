/** `comfymesh convert`: prints the prompt that a workflow becomes. */
import { type JsonObject, type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { runningAgent } from './agent-access.ts'
import { nodeDefinitions } from './agent-client.ts'
import {
  type Arguments,
  onlyPositional,
  settingFlags,
  textOf,
  textsOf,
  UsageError,
} from './arguments.ts'
import type { Command } from './command.ts'
import { convertAloud } from './conversion.ts'
import { readGraph, readJson } from './graph-file.ts'
import { editPrompt, seedPrompt } from './prompt-edits.ts'
import { settingRows } from './setting-rows.ts'
import { type LoadedSettings, loadSettings } from './settings.ts'

export const convertCommand: Command = {
  name: 'convert',
  summary: 'Print the prompt that a workflow becomes',
  usage: 'convert <workflow.json> [options]',
  description:
    'The workflow is a file as ComfyUI saves it, a picture that carries one, or - for standard input. ' +
    'The prompt is as ComfyUI itself would export it (Export (API)); what is odd is told on standard error. ' +
    'Nodes are looked up at the agent of this machine, or among those that comfymesh has where none runs.',
  options: [
    {
      flag: 'object-info',
      placeholder: '<file>',
      description: "Looks nodes up in this file, the answer of a ComfyUI's /object_info",
    },
    {
      flag: 'set',
      placeholder: '<node.input=value>',
      description: 'Changes an input, as in `run`',
      repeatable: true,
    },
    { flag: 'seed', placeholder: '<number>', description: 'Sets the seed of every sampler' },
  ],
  settings: [
    settingRows.dataDir,
    settingRows.host,
    settingRows.port,
    settingRows.token,
    settingRows.models,
  ],
  examples: [
    { command: 'comfymesh convert portrait.json > prompt.json', what: 'into a file' },
    { command: 'comfymesh convert ComfyUI_00001_.png', what: 'out of a picture' },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const { workflow, prompt } = await readGraph(onlyPositional(given, 'workflow file'))
  const settings = loadSettings({ flags: settingFlags(given) })
  const definitions = await definitionsFor(textOf(given, 'object-info'), settings)
  if (workflow === undefined) console.error('This is a prompt already.')
  const converted: Prompt =
    workflow === undefined
      ? prompt!
      : (convertAloud(workflow, definitions, console.error) as Prompt)
  const seed = textOf(given, 'seed')
  const seeded = seed === undefined ? converted : seedPrompt(converted, seed)
  console.log(stringifyJson(editPrompt(seeded, textsOf(given, 'set'), definitions), 2))
  return 0
}

async function definitionsFor(
  file: string | undefined,
  settings: LoadedSettings,
): Promise<NodeDefinitions> {
  if (file !== undefined) return asDefinitions(await readJson(file), file)
  const agent = await runningAgent(settings)
  if (agent !== undefined) return nodeDefinitions(agent)
  // Loaded on demand: where an agent runs, its nodes count.
  const { createNativeExecutor } = await import('../executors/native/native-executor.ts')
  return createNativeExecutor({ folders: settings.folders }).definitions()
}

/** @throws UsageError for what has no node definitions. */
function asDefinitions(content: JsonValue, file: string): NodeDefinitions {
  const isRecord = (value: JsonValue): value is JsonObject =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const isDefinition = (value: JsonValue) =>
    isRecord(value) && isRecord(value.input ?? null) && Array.isArray(value.output ?? [])
  if (isRecord(content) && Object.values(content).every(isDefinition)) {
    return content as unknown as NodeDefinitions
  }
  throw new UsageError(`${file} is not the answer of a /object_info: a map of node definitions.`)
}
