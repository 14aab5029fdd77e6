/**
 * Runs the nodes of a stage in order: resolves links, skips what the output cache
 * holds, reports starts, steps and ends, and hands out what other stages need. Knows no process
 * and no model.
 */
import { rm } from 'node:fs/promises'
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import { MAX_WARNING_LENGTH, MAX_WARNINGS } from '@comfymesh/protocol/node-warnings'
import { isLink } from '@comfymesh/protocol/workflow'
import type { ModelFolders } from '../../models/folders.ts'
import type { MadeValue, Stage, StageEvent, StageNode, StageResult } from '../executor.ts'
import type { ModelSessions } from './models.ts'
import type { NodeContext, NodeRow, NodeShow } from './node.ts'
import { isOutOfMemory, outOfMemory } from './out-of-memory.ts'
import type { KnownShow, OutputCache } from './output-cache.ts'
import { createStageInputs, type StageInputs } from './stage-inputs.ts'
import { createProgressReporter } from './stage-progress.ts'
import { yieldToMessages } from './yield.ts'

export interface StageRunnerModules {
  readonly rows: ReadonlyMap<string, NodeRow>
  readonly folders: ModelFolders
  readonly models: ModelSessions
  readonly outputs: OutputCache
  /** Where values are written that leave their stage. */
  readonly valuesFolder: string
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
  /** Hears of what a node ignored though it went on. */
  readonly warn: (message: string) => void
}

export interface StageRunOptions {
  readonly signal: AbortSignal
  readonly previews: boolean
  readonly report: (event: StageEvent) => void
}

/** Between two looks for a cancellation at steps that nobody is told of. */
const LOOK_INTERVAL_MS = 100

/** @throws MeshError as Executor.run */
export type StageRunner = (stage: Stage, options: StageRunOptions) => Promise<StageResult>

export function createStageRunner(modules: StageRunnerModules): StageRunner {
  const { models } = modules
  return async (stage, options) => {
    const sessionMsBefore = models.sessionMs
    // As in ComfyUI, what is known already is told before anything runs.
    const shown = recallAll(stage, modules.outputs, options.report)
    const known = { shown, inputs: createStageInputs(stage, modules.outputs) }
    for (const node of stage.nodes) {
      if (shown.has(node.id)) continue
      shown.set(node.id, await runOrRecall(node, known, modules, options))
    }
    const values = await handOutAll(stage, shown, modules.valuesFolder, options.signal)
    const sessionMs = models.sessionMs - sessionMsBefore
    const provider = sessionMs > 0 ? models.provider : undefined
    return { sessionMs, values, ...(provider !== undefined && { provider }) }
  }
}

/** What the links of a node may name. */
interface Known {
  /** Of the stage's own nodes. */
  readonly shown: ReadonlyMap<string, NodeShow>
  /** Of other stages. */
  readonly inputs: StageInputs
}

/** All of the stage's outputs, or none: what was written before a failure is removed. */
async function handOutAll(
  { outputs }: Stage,
  shown: ReadonlyMap<string, NodeShow>,
  folder: string,
  signal: AbortSignal,
): Promise<MadeValue[]> {
  if (outputs.length === 0) return []
  // Most stages run whole on one machine: the schemas of what travels (60 ms) load with the first that does not.
  const { handOut } = await import('./travel/stage-values.ts')
  const values: MadeValue[] = []
  try {
    for (const output of outputs) {
      await yieldToMessages(signal)
      values.push(await handOut(output, shown.get(output.nodeId)?.outputs[output.slot], folder))
    }
    return values
  } catch (error) {
    await Promise.all(values.map(({ path }) => rm(path, { force: true })))
    throw error
  }
}

function recallAll(
  stage: Stage,
  outputs: OutputCache,
  report: StageRunOptions['report'],
): Map<string, NodeShow> {
  const shown = new Map<string, NodeShow>()
  for (const node of stage.nodes) {
    const recalled = outputs.get(node.signature)
    if (recalled === undefined) continue
    shown.set(node.id, recalled)
    report(finished(node, recalled, { cached: true, elapsedMs: 0 }))
  }
  return shown
}

/** A node that is the same as one that ran before it in this stage is recalled too. */
async function runOrRecall(
  node: StageNode,
  known: Known,
  modules: StageRunnerModules,
  options: StageRunOptions,
): Promise<NodeShow> {
  const recalled = modules.outputs.get(node.signature)
  if (recalled !== undefined) {
    options.report(finished(node, recalled, { cached: true, elapsedMs: 0 }))
    return recalled
  }
  // Before the node starts: reading counts for no node, and what is wrong with a value is no fault of one.
  const inputs = await resolveInputs(node, known)
  options.report({ type: 'node-started', nodeId: node.id })
  try {
    // The end of the node before this one has just been told too: both leave together.
    await yieldToMessages(options.signal)
    // What is learned of the node is its own time, not that of a process that had other things to do.
    const startedAt = modules.now()
    const warnings: string[] = []
    const warn = (message: string) => {
      modules.warn(`${node.classType} (node ${node.id}): ${message}`)
      if (warnings.length < MAX_WARNINGS) warnings.push(message.slice(0, MAX_WARNING_LENGTH))
    }
    const show = { ...(await runNode(node, inputs, { ...modules, warn }, options)), warnings }
    modules.outputs.set(node.signature, show)
    const elapsedMs = modules.now() - startedAt
    options.report(finished(node, show, { cached: false, elapsedMs }))
    return show
  } catch (thrown) {
    throw nodeError(node, thrown)
  }
}

async function runNode(
  node: StageNode,
  inputs: { readonly [name: string]: unknown },
  { rows, models, folders, now, warn }: StageRunnerModules,
  { signal, previews, report }: StageRunOptions,
): Promise<NodeShow> {
  const row = rows.get(node.classType)
  if (row === undefined) {
    throw new MeshError('node_failed', `this agent has no node ${node.classType}`)
  }
  const steps = createProgressReporter({ nodeId: node.id, previews, report }, now)
  let isAtEnd = false
  let lookedAtMs = now()
  /** Steps that take less are not looked at one by one: each look costs two turns of the event loop. */
  const isLookDue = () => now() - lookedAtMs >= LOOK_INTERVAL_MS
  const context: NodeContext = {
    nodeId: node.id,
    models,
    folders,
    warn,
    progress: async (value, max, preview) => {
      const isReported = steps.step(value, max, preview)
      // With its last step a node mostly ends: both are told in one message, and the next one yields.
      const isLast = value >= max && !isAtEnd
      isAtEnd ||= isLast
      if (isLast || !(isReported || isLookDue())) return
      await yieldToMessages(signal)
      lookedAtMs = now()
    },
    throwIfCancelled: () => yieldToMessages(signal),
  }
  try {
    return await row.run(inputs, context)
  } finally {
    steps.end()
  }
}

/**
 * Replaces links by the values they name; constants stay as they are.
 * @throws MeshError `node_failed` for a link that names nothing; as readOutput.
 */
async function resolveInputs(
  node: StageNode,
  { shown, inputs }: Known,
): Promise<{ [name: string]: unknown }> {
  const resolved: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(node.inputs)) {
    resolved[name] = value
    if (!isLink(value)) continue
    const [source, slot] = value
    resolved[name] = shown.get(source)?.outputs.at(slot) ?? (await inputs.of(value))
    if (resolved[name] !== undefined) continue
    const what = `input ${name} is linked to output ${slot} of node ${source}`
    const missing = `${what}, which neither runs before it in this stage nor came with it`
    throw nodeError(node, new MeshError('node_failed', missing))
  }
  return resolved
}

function finished(
  node: StageNode,
  { pictures, ui, warnings = [] }: KnownShow,
  { cached, elapsedMs }: { readonly cached: boolean; readonly elapsedMs: number },
): StageEvent {
  return {
    type: 'node-finished',
    nodeId: node.id,
    cached,
    elapsedMs,
    ...(pictures && { pictures }),
    ...(ui && { ui }),
    ...(warnings.length > 0 && { warnings }),
  }
}

/** Codes that say more than that a node failed. */
const TELLING_CODES: ReadonlySet<ErrorCode> = new Set([
  'interrupted',
  'out_of_memory',
  'not_found',
  'unsupported_model',
  'malformed_file',
])

/** Whatever a node threw, with the node's id and class in its details. */
function nodeError(node: StageNode, thrown: unknown): MeshError {
  const error = isOutOfMemory(thrown) ? outOfMemory(thrown) : MeshError.from(thrown)
  const code = TELLING_CODES.has(error.code) ? error.code : 'node_failed'
  const details = { ...error.details, nodeId: node.id, classType: node.classType }
  return new MeshError(code, error.message, { details, cause: error.cause ?? error })
}
