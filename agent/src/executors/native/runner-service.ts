/**
 * The child's side of the runner's messages: takes a configuration, then stages.
 * How a stage runs stands in stage-runner.ts.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import { ModelFolders } from '../../models/folders.ts'
import type { Benchmark, StageEvent } from '../executor.ts'
import type { NodeRow } from './node.ts'
import { createOutputCache } from './output-cache.ts'
import {
  type Commands,
  dispatch,
  type Handlers,
  type Message,
  type Reports,
  type RunnerConfiguration,
} from './runner-messages.ts'
import { createReportSender } from './runner-reports.ts'
import { measureSpeed } from './sessions/benchmark.ts'
import { createModelSessions, type OwnedModelSessions } from './sessions/model-sessions.ts'
import { testProviders } from './sessions/providers.ts'
import { createStageRunner, type StageRunner, type StageRunnerModules } from './stage-runner.ts'
import { yieldToMessages } from './yield.ts'

const send = createReportSender()

/**
 * Serves the process that forked this one until it goes away.
 * @param now by which nodes are measured, and what they tell is held back.
 */
export function serveStages(
  rows: ReadonlyMap<string, NodeRow>,
  now: () => number = () => performance.now(),
): void {
  let configured: Configured | undefined
  let running: { readonly run: number; readonly controller: AbortController } | undefined

  const sendOpenFiles = createOpenFilesSender(() => configured?.models.files ?? [])

  const handlers: Handlers<Commands> = {
    configure: async ({ configuration }) => {
      configured = await configure({ rows, now }, configuration)
      send({ type: 'ready' })
    },
    run: async ({ run, stage, previews }) => {
      const controller = new AbortController()
      running = { run, controller }
      const events = createEventSender(run)
      const end = await outcome(run, async () => {
        const { signal } = controller
        const { report } = events
        const result = await configured!.runStage(stage, { signal, previews, report })
        return { type: 'finished', run, result }
      })
      events.flush()
      send(end)
      sendOpenFiles()
    },
    benchmark: async ({ run }) => {
      const controller = new AbortController()
      running = { run, controller }
      send(
        await outcome(run, async () => {
          const benchmark = await configured!.benchmark(() => yieldToMessages(controller.signal))
          return { type: 'benchmarked', run, benchmark }
        }),
      )
    },
    cancel: ({ run }) => {
      if (running?.run === run) running.controller.abort()
    },
    release: async () => {
      await configured?.models.release()
      sendOpenFiles()
      send({ type: 'released' })
    },
  }
  process.on('message', (message) => dispatch(handlers, message as Message<Commands>))
  process.on('disconnect', () => process.exit(0))
  // A terminal's Ctrl-C, and its end, reach the whole group; when to end is the agent's decision.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
}

interface Configured {
  readonly runStage: StageRunner
  readonly models: OwnedModelSessions
  /** @param beforeRun see measureSpeed. */
  benchmark(beforeRun: () => Promise<void>): Promise<Benchmark>
}

async function configure(
  own: Pick<StageRunnerModules, 'rows' | 'now'>,
  { folders, sessions, providers, outputCacheBytes, valuesFolder }: RunnerConfiguration,
): Promise<Configured> {
  const reports = await testProviders(sessions, providers, {
    testing: (provider) => send({ type: 'testing', provider }),
    tested: (report) => send({ type: 'tested', report }),
  })
  const warn = (message: string) => send({ type: 'warning', message })
  const models = createModelSessions(sessions, reports)
  const runStage = createStageRunner({
    ...own,
    folders: new ModelFolders(folders),
    models,
    outputs: createOutputCache(outputCacheBytes),
    valuesFolder,
    warn,
  })
  const benchmark = async (beforeRun: () => Promise<void>) =>
    measureSpeed(models.usable(), sessions, beforeRun)
  return { runStage, models, benchmark }
}

async function outcome(
  run: number,
  work: () => Promise<Message<Reports>>,
): Promise<Message<Reports>> {
  try {
    return await work()
  } catch (thrown) {
    const error = MeshError.from(thrown)
    // The stack stays here, in the agent's log; only the report crosses over.
    if (error.code === 'internal' || error.code === 'node_failed') {
      console.error(error.details.classType ?? 'stage', error.cause ?? error)
    }
    return { type: 'failed', run, error: error.toReport() }
  }
}

/**
 * What is reported at one moment leaves in one message: each wakes the agent's process, which takes
 * a processor from the sessions.
 */
function createEventSender(run: number) {
  let waiting: StageEvent[] = []
  const flush = (): void => {
    const events = waiting
    waiting = []
    if (events.length > 0) send({ type: 'events', run, events })
  }
  return {
    flush,
    report: (event: StageEvent): void => {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push(event)
    },
  }
}

/** Tells which model files are open whenever they are others than before. */
function createOpenFilesSender(filesOf: () => readonly string[]): () => void {
  let told = ''
  return () => {
    const files = filesOf()
    const text = files.join('\0')
    if (text === told) return
    told = text
    send({ type: 'open', files })
  }
}
