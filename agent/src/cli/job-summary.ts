/** What became of a job, in words and as JSON: pictures, what ran where, how long. */
import type { JobState } from '@comfymesh/protocol/job'
import type { StageState } from '@comfymesh/protocol/job-stages'
import type { JsonObject } from '@comfymesh/protocol/json'
import { nodeName, printable, titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { counted, duration } from '../base/duration.ts'
import { type JobTrace, type NodeTrace, preparationMs, stepsPerSecond } from './job-trace.ts'
import type { Terminal } from './terminal.ts'

/** A picture that a job made, where the command put it. */
export interface SavedFile {
  readonly path: string
  readonly nodeId: string
}

export interface JobReport {
  readonly state: JobState
  readonly trace: JobTrace
  readonly files: readonly SavedFile[]
}

const BAR_WIDTH = 32
const WIDEST_TITLE = 36

/** What ran where, and when: a line a machine, then a timeline of the nodes. */
export function summaryLines({ state, trace }: JobReport, terminal: Terminal): string[] {
  const ran = trace.filter((node) => !node.cached)
  const known = trace.length - ran.length + (state.cached?.nodeIds.length ?? 0)
  const endMs = state.finishedAtMs ?? state.request.createdAtMs
  return [
    ...state.stages.map((stage) => stageLine(stage, state, ran)),
    ...(ran.length === 0 ? ['Nothing had to run.'] : []),
    ...ran.flatMap(stepLines),
    ...(ran.length > 0 ? ['', ...timeline(ran, state.request.prompt, endMs, terminal)] : []),
    ...(known > 0 ? [terminal.paint('dim', `Results known already: ${known}`)] : []),
    ...warningsOf(state).map((line) => terminal.paint('yellow', line)),
    `Total ${duration(jobMs(state))}`,
  ]
}

/** What the nodes ignored though they went on. */
function warningsOf({ cached, nodes, request: { prompt } }: JobState): string[] {
  const known = Object.entries(cached?.warnings ?? {})
  const told = nodes.map(({ nodeId, warnings = [] }) => [nodeId, warnings] as const)
  return [...known, ...told].flatMap(([nodeId, warnings]) =>
    warnings.map((warning) => `Warning: ${nodeName(prompt, nodeId)}: ${printable(warning)}`),
  )
}

const jobMs = ({ startedAtMs, finishedAtMs, request }: JobState): number =>
  (finishedAtMs ?? request.createdAtMs) - (startedAtMs ?? request.createdAtMs)

function stageLine(stage: StageState, { plan }: JobState, ran: JobTrace): string {
  const placement = plan?.placements.find(({ stageId }) => stageId === stage.stageId)
  const planned = plan?.stages.find(({ id }) => id === stage.stageId)?.nodes ?? []
  const count = planned.filter(({ id }) => ran.some(({ nodeId }) => nodeId === id)).length
  const where = placement?.peerName ?? stage.peerId
  const on = stage.provider ? ` on ${stage.provider}` : ''
  return `${counted(count, 'node')} ran at ${where}${on} in ${duration(stage.elapsedMs)}`
}

/** How fast a node with steps was, and how long it took to begin. */
function stepLines(node: NodeTrace): string[] {
  const rate = stepsPerSecond(node)
  const prepared = preparationMs(node)
  if (node.steps === undefined || rate === undefined || prepared === undefined) return []
  const { last, max } = node.steps
  const count = last.value < max ? `${last.value} of ${max}` : `${max}`
  return [
    `${count} steps at ${rate.toPrecision(3)} steps/s, the first after ${duration(prepared)} of preparation`,
  ]
}

/**
 * One line a node: when it ran within the job, as a bar.
 * @param jobEndMs the end of nodes that were not finished.
 */
export function timeline(
  trace: JobTrace,
  prompt: Prompt,
  jobEndMs: number,
  { paint }: Terminal,
): string[] {
  const ends = trace.map((node) => node.finishedAtMs ?? jobEndMs)
  const startMs = Math.min(...trace.map((node) => node.startedAtMs))
  const scale = BAR_WIDTH / Math.max(1, Math.max(...ends) - startMs)
  const titles = trace.map(({ nodeId }) => (prompt[nodeId] ? titleOf(prompt[nodeId]) : nodeId))
  const width = Math.min(WIDEST_TITLE, Math.max(...titles.map((title) => title.length)))
  return trace.map((node, index) => {
    const ms = ends[index]! - node.startedAtMs
    const from = Math.min(BAR_WIDTH - 1, Math.floor((node.startedAtMs - startMs) * scale))
    const length = Math.max(1, Math.min(BAR_WIDTH - from, Math.round(ms * scale)))
    const bar = paint('cyan', '━'.repeat(length)) + ' '.repeat(BAR_WIDTH - from - length)
    const title = titles[index]!.slice(0, width).padEnd(width)
    return `  ${title}  ${' '.repeat(from)}${bar}  ${duration(ms).padStart(7)}`
  })
}

/** The same for programs. */
export function reportJson({ state, trace, files }: JobReport): JsonObject {
  const { prompt } = state.request
  return {
    jobId: state.request.id,
    status: state.status,
    elapsedMs: jobMs(state),
    pictures: files.map(({ path, nodeId }) => ({ path, nodeId })),
    stages: state.stages.map((stage) => ({
      peer: state.plan?.placements.find(({ stageId }) => stageId === stage.stageId)?.peerName ?? '',
      provider: stage.provider ?? null,
      elapsedMs: stage.elapsedMs,
      sessionMs: stage.sessionMs,
    })),
    nodes: trace.map((node) => ({
      id: node.nodeId,
      title: prompt[node.nodeId] ? titleOf(prompt[node.nodeId]!) : node.nodeId,
      classType: prompt[node.nodeId]?.class_type ?? '',
      cached: node.cached,
      elapsedMs: (node.finishedAtMs ?? state.finishedAtMs ?? node.startedAtMs) - node.startedAtMs,
      stepsPerSecond: stepsPerSecond(node) ?? null,
      preparationMs: preparationMs(node) ?? null,
    })),
    warnings: warningsOf(state),
    ...(state.error && { error: state.error as unknown as JsonObject }),
  }
}
