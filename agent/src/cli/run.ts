/** `comfymesh run`: runs a workflow or a prompt and saves its pictures. */
import { resolve } from 'node:path'
import type { JobState } from '@comfymesh/protocol/job'
import { stringifyJson } from '@comfymesh/protocol/json'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { type AgentAccess, withAgent } from './agent-access.ts'
import { nodeDefinitions, PromptRefused } from './agent-client.ts'
import {
  type Arguments,
  isGiven,
  onlyPositional,
  settingFlags,
  settingOptions,
  textOf,
  textsOf,
} from './arguments.ts'
import type { Command } from './command.ts'
import { convertToRun } from './conversion.ts'
import { type GraphFile, readGraph } from './graph-file.ts'
import { reportJson, summaryLines } from './job-summary.ts'
import { failureLine } from './problems.ts'
import { editPrompt, seedPrompt } from './prompt-edits.ts'
import { tellRefusal } from './refusal.ts'
import { runJob } from './run-job.ts'
import { preparePictureFolder, savePictures } from './saved-pictures.ts'
import type { SettingKey } from './setting-rows.ts'
import { loadSettings } from './settings.ts'
import { terminalAt } from './terminal.ts'

export const runCommand: Command = {
  name: 'run',
  summary: 'Run a workflow or a prompt and save its pictures',
  usage: 'run <workflow.json> [options]',
  description:
    'The file is a workflow as ComfyUI saves it, a prompt in its API format (Export (API)), or a picture ' +
    'that carries one of them; - is standard input. ' +
    'It runs on the agent of this machine; where none is running, one is started for the time of the job.',
  options: [
    {
      flag: 'set',
      placeholder: '<node.input=value>',
      description:
        "Changes an input; the node by its id, or by its title or class where that's unique",
      repeatable: true,
    },
    { flag: 'seed', placeholder: '<number>', description: 'Sets the seed of every sampler' },
    {
      flag: 'out',
      placeholder: '<folder>',
      description: 'Where the pictures go',
      defaults: 'the current folder',
    },
    { flag: 'json', description: 'Prints one JSON object instead of text' },
  ],
  settings: settingOptions,
  examples: [
    { command: 'comfymesh run portrait.json', what: 'run a workflow or a prompt' },
    {
      command: 'comfymesh run ComfyUI_00001_.png --seed 8',
      what: 'a picture again, with another seed',
    },
    {
      command:
        'comfymesh run portrait.json --set 6.text="a red fox" --set KSampler.steps=30 --seed 7',
      what: 'with another text, more steps and a fixed seed',
    },
    {
      command: 'comfymesh run portrait.json --models ~/ComfyUI --out pictures',
      what: "with ComfyUI's models, pictures into a folder",
    },
  ],
  run,
}

async function run(given: Arguments): Promise<number> {
  const file = await readGraph(onlyPositional(given, 'workflow or prompt file'))
  const flags = settingFlags(given)
  const settings = loadSettings({ flags })
  const folder = resolve(textOf(given, 'out') ?? '.')
  preparePictureFolder(folder)
  return withAgent(settings, (agent) => {
    const unused = agent.isOwn ? [] : Object.keys(flags).filter((key) => !FINDS_THE_AGENT.has(key))
    if (unused.length > 0) {
      console.error(`The agent at ${agent.url} runs already, so its own settings count, not yours.`)
    }
    return runOn(agent, file, folder, given)
  })
}

/** The settings that say which agent is meant; the others are those of an agent that is started. */
const FINDS_THE_AGENT: ReadonlySet<string> = new Set<SettingKey>([
  'host',
  'port',
  'dataDir',
  'token',
])

async function runOn(
  agent: AgentAccess,
  file: GraphFile,
  folder: string,
  given: Arguments,
): Promise<number> {
  const { workflow } = file
  const prompt = await promptOf(file, agent, given)
  const asJson = isGiven(given, 'json')
  try {
    const job = await runJob(agent, { prompt, ...(workflow && { workflow }) })
    const files = await savePictures(agent, job.state, folder)
    const report = { ...job, files }
    if (asJson) console.log(stringifyJson({ ...reportJson(report), agent: agent.url }))
    else {
      for (const { path } of files) console.log(path)
      for (const line of summaryLines(report, terminalAt(process.stdout))) console.log(line)
      reportEnd(job.state)
    }
    return job.state.status === 'completed' ? 0 : 1
  } catch (error) {
    if (!(error instanceof PromptRefused)) throw error
    return tellRefusal(agent, { refusal: error.refusal, prompt, asJson })
  }
}

async function promptOf(file: GraphFile, agent: AgentAccess, given: Arguments): Promise<Prompt> {
  const edits = textsOf(given, 'set')
  const seed = textOf(given, 'seed')
  const isReady = file.prompt !== undefined && edits.length === 0
  const definitions = isReady ? {} : await nodeDefinitions(agent)
  const prompt = file.prompt ?? convertToRun(file.workflow!, definitions, console.error)
  const seeded = seed === undefined ? prompt : seedPrompt(prompt, seed)
  return editPrompt(seeded, edits, definitions)
}

function reportEnd({ status, error, request, endNodeId }: JobState): void {
  if (status === 'interrupted') console.error('The job was cancelled.')
  if (error !== undefined) {
    console.error(`The job failed: ${failureLine(error, request.prompt, endNodeId)}`)
  }
}
