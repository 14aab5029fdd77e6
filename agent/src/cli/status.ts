/** `comfymesh status`: the agent of this machine at a glance. */
import { statfs } from 'node:fs/promises'
import type { JobState } from '@comfymesh/protocol/job'
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { type MeshPeers, meshPeersSchema } from '@comfymesh/protocol/mesh'
import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { AgentSettings } from '../agent.ts'
import { howToFindOne, seekAgent } from './agent-access.ts'
import { type AgentAddress, request } from './agent-client.ts'
import { type Arguments, isGiven, settingFlags } from './arguments.ts'
import type { Command } from './command.ts'
import { readQueue } from './queue-client.ts'
import { settingRows } from './setting-rows.ts'
import { loadSettings } from './settings.ts'
import { type AgentStatus, statusLines } from './status-view.ts'
import { terminalAt } from './terminal.ts'

export const statusCommand: Command = {
  name: 'status',
  summary: 'Show the agent of this machine: its queue, its job, its models, its disk',
  usage: 'status [options]',
  description: 'Ends with 1 when no agent runs.',
  options: [{ flag: 'json', description: 'Prints one JSON object instead of text' }],
  settings: [settingRows.dataDir, settingRows.host, settingRows.port, settingRows.token],
  examples: [{ command: 'comfymesh status', what: 'at a glance' }],
  run,
}

async function run(given: Arguments): Promise<number> {
  const settings = loadSettings({ flags: settingFlags(given) })
  const sought = await seekAgent(settings)
  const asJson = isGiven(given, 'json')
  if (sought.agent === undefined) {
    if (asJson) console.log(stringifyJson({ agent: null, url: sought.url }))
    else console.error(`${sought.why} ${howToFindOne(settings)}`)
    return 1
  }
  const status = await readStatus(sought.agent, sought.health as JsonObject, settings)
  if (asJson) console.log(stringifyJson(status))
  else for (const line of statusLines(status, terminalAt(process.stdout))) console.log(line)
  return 0
}

/** A job whose results were known already says nothing of what computes. */
const RECENT = 5

async function readStatus(
  agent: AgentAddress,
  { name, version, uptimeMs }: JsonObject,
  { dataDir, folders }: AgentSettings,
): Promise<AgentStatus> {
  const [queue, running, ended, checkpoints, mesh] = await Promise.all([
    readQueue(agent),
    jobsOf(agent, 'running', 10),
    jobsOf(agent, 'completed', RECENT),
    ask(agent, '/v1/checkpoints'),
    readMesh(agent),
  ])
  const provider = ended.flatMap(({ stages }) => stages).find((stage) => stage.provider)?.provider
  return {
    agent: {
      name: String(name),
      version: String(version),
      url: agent.url,
      uptimeMs: Number(uptimeMs),
    },
    queue: { summary: queue.summary, paused: queue.paused },
    questions: queue.jobs.flatMap(({ id, question }) => (question ? [{ id, question }] : [])),
    running: running.map((job) => ({
      id: job.request.id,
      startedAtMs: job.startedAtMs ?? null,
      nodes: job.nodes.map(({ nodeId, status, value, max }) => ({
        nodeId,
        title: titleIn(job, nodeId),
        status,
        value,
        max,
      })),
      nodeCount: Object.keys(job.request.prompt).length,
    })),
    checkpoints: (checkpoints.checkpoints as unknown as AgentStatus['checkpoints']) ?? [],
    ...(provider !== undefined && { provider }),
    ...(mesh !== undefined && {
      mesh: mesh.peers.map(({ name, state }) => ({ name, state })),
    }),
    disks: await Promise.all(
      Object.entries({ data: dataDir, output: folders.output }).map(async ([use, folder]) => ({
        use,
        folder,
        freeBytes: await freeBytes(folder),
      })),
    ),
  }
}

async function jobsOf(agent: AgentAddress, status: string, limit: number): Promise<JobState[]> {
  const { jobs } = await ask(agent, `/v1/jobs?status=${status}&limit=${limit}`)
  const ids = (jobs as unknown as { id: string }[]).map(({ id }) => id)
  const states = await Promise.all(ids.map((id) => ask(agent, `/v1/jobs/${id}`).catch(() => null)))
  return states.filter((state) => state !== null) as unknown as JobState[]
}

function titleIn({ request }: JobState, nodeId: string): string {
  const node = request.prompt[nodeId]
  return node === undefined ? nodeId : titleOf(node)
}

/** Undefined where the agent takes part in no mesh. */
async function readMesh(agent: AgentAddress): Promise<MeshPeers | undefined> {
  const response = await request(agent, '/v1/mesh/peers')
  return response.ok ? meshPeersSchema.parse(parseJson(await response.text())) : undefined
}

async function ask(agent: AgentAddress, path: string): Promise<JsonObject> {
  const response = await request(agent, path)
  if (response.ok) return parseJson(await response.text()) as JsonObject
  throw new Error(`GET ${path}: the agent answered ${response.status}. Is it of another version?`)
}

/** Null where the folder is of another machine, or the system does not tell. */
async function freeBytes(folder: string): Promise<number | null> {
  const disk = await statfs(folder).catch(() => undefined)
  return disk === undefined ? null : disk.bavail * disk.bsize
}
