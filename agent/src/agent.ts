/**
 * The agent: everything that runs in one process of one machine, put together.
 * Parts are made and started here bottom-up and stopped in reverse; what they do is theirs.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { prepareMesh, prepareOffers, prepareTensors, startMesh } from './agent-mesh.ts'
import { prepareStages } from './agent-stages.ts'
import { createAgentState } from './agent-state.ts'
import { makeFolder } from './base/make-folder.ts'
import { version } from './base/version.ts'
import { createExamination } from './doctor/examination.ts'
import { createJobRunner, type JobRunner, type JobRunnerModules } from './execution/job-runner.ts'
import { createKnownResults } from './execution/known-results.ts'
import { createLoadHistory } from './execution/load-history.ts'
import { createMeshModels } from './execution/mesh-models.ts'
import { createPeerLogs } from './execution/peer-logs.ts'
import { createPictureFiles } from './execution/picture-files.ts'
import { createPlanPreview } from './execution/plan-preview.ts'
import { createProvenPeers } from './execution/proven-peers.ts'
import { createQueueTimes } from './execution/queue-times.ts'
import type { StageWorker } from './execution/stage-worker.ts'
import type { Executor } from './executors/executor.ts'
import { createNativeExecutor } from './executors/native/native-executor.ts'
import { offerFirstSettings } from './gateway/comfyui/settings-routes.ts'
import { createUserFiles } from './gateway/comfyui/user-files.ts'
import { coordinatorPageFolder } from './gateway/coordinator-page.ts'
import { edgeRules, isLoopback } from './gateway/edge.ts'
import { frontendFolder } from './gateway/frontend-folder.ts'
import { createGateway } from './gateway/server.ts'
import type { MeshOptions } from './mesh/mesh.ts'
import { type FolderSettings, ModelFolders } from './models/folders.ts'
import { openAccessToken } from './store/access-token.ts'
import { openBlobStore } from './store/blobs.ts'
import { openDatabase, ownerOf } from './store/database.ts'
import { openJobStore } from './store/jobs.ts'
import { openLearnedTimes } from './store/learned-times.ts'
import { openQueueState } from './store/queue-state.ts'
import { createLog, type Log } from './telemetry/log.ts'

/** What a user can decide about an agent; flags, environment and YAML all end here. */
export interface AgentSettings {
  /** How this machine is called in the mesh; the host's name by default. */
  readonly name: string
  /** Database and caches. Owned by one agent at a time. */
  readonly dataDir: string
  /** Address to listen on; loopback unless the user says otherwise. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /**
   * What everybody has to show who asks something of the agent; false: nobody has to show anything.
   * Undefined: a token of the data folder, as soon as others than this machine can reach the agent.
   */
  readonly token?: string | false
  /** The largest request body; ComfyUI's 100 MB by default. */
  readonly maxUploadBytes?: number
  /** Names by which others know this machine, such as that of a proxy in front; lower case. */
  readonly allowedHosts?: readonly string[]
  /** Pages that may use the agent besides its own, such as `http://localhost:5173`. */
  readonly allowedOrigins?: readonly string[]
  /** Models, and the input, output and temp folders. Absolute paths. */
  readonly folders: FolderSettings
  /** Files in the format of ComfyUI's extra_model_paths.yaml that some of the folders are from. */
  readonly extraModelPaths?: readonly string[]
  /** The user's own files, as under ComfyUI's `--user-directory`. Absolute path. */
  readonly userDir: string
  /** CPU threads of the model sessions; undefined lets the executor choose. */
  readonly threads?: number
  /** Device memory that this machine gives to comfymesh, in bytes; undefined is all of it. */
  readonly vramBytes?: number
  /** The only execution provider to use ('cpu', 'cuda', ...); undefined takes the best that works. */
  readonly provider?: string
  /** Folder of an official ComfyUI frontend, served at `/comfy/`. */
  readonly frontend?: string
  /** How much disk values and pictures on their way between stages may take; 4 GB by default. */
  readonly blobBudgetBytes?: number
  /** How many jobs may wait; 10,000 by default. */
  readonly queueLimit?: number
  /** How it takes part in a mesh; undefined keeps it alone. */
  readonly mesh?: Omit<MeshOptions, 'name'>
  /** Levels of the log that are written; 'info' by default. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

export interface Agent {
  readonly name: string
  readonly version: string
  /** Where ComfyUI's clients reach it, e.g. `http://127.0.0.1:8288`. */
  readonly url: string
  /** A random word of this process; its `/health` says it, too. */
  readonly instance: string
  /** What its clients have to show, if anything. */
  readonly token?: string
  /** For whoever runs in this process: the CLI's `run`, `demo` and `bench`. */
  readonly jobs: JobRunner
  /** Ends everything; a job that runs goes on after the next start. Safe to call twice. */
  stop(): Promise<void>
}

/** Parts that a test replaces. */
export interface AgentParts {
  readonly executor?: Executor
  readonly log?: Log
}

/** ComfyUI's default. */
const MAX_UPLOAD_BYTES = 100 * 2 ** 20

type Stop = () => Promise<void> | void

type FreedExecutor = JobRunnerModules['executor']

/**
 * Starts an agent. When a part does not start, those before it are stopped again.
 * @throws MeshError `storage_failed` when the data folder is in use or unusable,
 *   `invalid_settings` when the port is taken or the frontend's folder holds none.
 */
export async function startAgent(settings: AgentSettings, parts: AgentParts = {}): Promise<Agent> {
  const stops: Stop[] = []
  try {
    const started = await startParts(settings, parts, (stop) => stops.push(stop))
    let stopped: Promise<void> | undefined
    const stop = () => {
      stopped ??= stopAll(stops)
      return stopped
    }
    return { name: settings.name, version, ...started, stop }
  } catch (error) {
    await stopAll(stops)
    throw error
  }
}

async function startParts(
  settings: AgentSettings,
  parts: AgentParts,
  onStop: (stop: Stop) => void,
): Promise<Pick<Agent, 'url' | 'instance' | 'token' | 'jobs'>> {
  const { name, folders } = settings
  const log = parts.log ?? createLog({ level: settings.logLevel ?? 'info' })
  const page = coordinatorPageFolder()
  const frontend = settings.frontend === undefined ? undefined : frontendFolder(settings.frontend)

  const database = await openDatabase(settings.dataDir)
  onStop(() => database.close())
  const store = await openJobStore(database, log.warn)
  const queueState = await openQueueState(database)
  const times = await openLearnedTimes(database)

  const { blobBudgetBytes } = settings
  const blobs = await openBlobStore(
    {
      folder: join(settings.dataDir, 'blobs'),
      ...(blobBudgetBytes !== undefined && { budgetBytes: blobBudgetBytes }),
    },
    { now: Date.now, warn: log.warn },
  )
  onStop(() => blobs.stop())

  const userFiles = createUserFiles({ folder: settings.userDir })
  for (const folder of [folders.input, folders.output, folders.temp, userFiles.root])
    provide(folder)
  if (frontend !== undefined) await offerFirstSettings(userFiles)
  const pictures = createPictureFiles({ owner: await ownerOf(database) }, { folders })
  await pictures.prepare()
  onStop(() => pictures.clearTemp())

  const executor = parts.executor ?? nativeExecutor(settings, blobs.stagingFolder, log)
  await executor.start()
  onStop(() => executor.stop())

  const mesh = await prepareMesh(settings, database, log)
  const offers = prepareOffers(settings, {
    mesh,
    database,
    executor,
    busyMs: () => worker.busyMs(),
    log,
  })
  const { peerId } = offers.localPeer
  const tensors = prepareTensors(peerId, { mesh, blobs, log })
  const { worker, client } = prepareStages(peerId, { executor, blobs, mesh, fetch: tensors.fetch })
  onStop(() => worker.stop())
  const planning = {
    executor,
    offers: offers.peerOffers.offers,
    gathering: offers.peerOffers.gathering,
    results: createKnownResults({ filesExist: pictures.exist }),
    // What transfers show counts more than what questions do.
    links: () => [...offers.peerOffers.links(), ...tensors.links()],
    times,
  }
  const { queueLimit } = settings
  const jobs = createJobRunner(
    { ...(queueLimit !== undefined && { queueLimit }) },
    {
      ...planning,
      executor: freeing(executor, worker),
      peerId,
      others: offers.peerOffers.others,
      store,
      queueState,
      client,
      pictures,
      now: Date.now,
      warn: log.warn,
    },
  )
  const queueTimes = createQueueTimes({
    runner: jobs,
    times,
    peerId,
    others: offers.peerOffers.others,
    now: Date.now,
    warn: log.warn,
  })
  await jobs.recover()
  const token = accessToken(settings)
  const rules = edgeRules(settings.allowedHosts ?? [], settings.allowedOrigins ?? [])
  if (queueState.pausedAtMs !== undefined) log.warn(pausedSince(queueState.pausedAtMs))
  const provenPeers = mesh && createProvenPeers({ runner: jobs, mesh })
  onStop(() => provenPeers?.stop())
  const loadHistory = mesh && createLoadHistory({ mesh, now: Date.now })
  loadHistory?.start()
  onStop(() => loadHistory?.stop())
  const instance = randomUUID()
  let url = ''
  const gateway = createGateway(
    {
      host: settings.host,
      port: settings.port,
      identity: { name, version, instance },
      ...(frontend !== undefined && { frontend }),
      maxUploadBytes: settings.maxUploadBytes ?? MAX_UPLOAD_BYTES,
      guards: { rules, ...(token !== undefined && { token }) },
      ...(page !== undefined && { page }),
    },
    {
      runner: jobs,
      tensors,
      blobs,
      queueTimes,
      executor,
      planPreview: createPlanPreview({ ...planning, queueTimes }),
      folders: new ModelFolders(folders),
      userFiles,
      meshModels: createMeshModels(
        { peerId, name },
        { catalog: offers.catalog, executor, others: offers.peerOffers.others },
      ),
      agentState: createAgentState(settings, {
        url: () => url,
        asksForToken: token !== undefined,
        now: Date.now,
      }),
      examine: createExamination(settings, { now: Date.now }),
      peerLogs: createPeerLogs({ peerId }, { log, ...(mesh && { mesh }) }),
      ...(provenPeers && { provenPeers }),
      ...(loadHistory && { loadHistory }),
      links: planning.links,
      ...(mesh !== undefined && { mesh }),
      log,
    },
  )
  // Listening before working: whoever submitted a job can follow it from its first event.
  url = await listen(gateway.start, settings)
  onStop(() => gateway.stop())
  // After the gateway: whoever waits for a job hears of its end before its times are learned.
  queueTimes.start()
  onStop(() => queueTimes.stop())
  jobs.start()
  onStop(async () => {
    // The job that runs goes on after the next start, so nobody waits for its step to end.
    await Promise.all([jobs.stop(), executor.stop()])
  })
  if (mesh !== undefined) {
    // Nobody waits for it: the agent serves before others are found.
    onStop(startMesh(offers, { mesh, jobs, stages: worker, times, tensors, blobs, log }))
  }
  return { url, instance, jobs, ...(token !== undefined && { token: token() }) }
}

/** Whoever else than this machine can reach the agent, directly or through a proxy, shows a token. */
function accessToken(settings: AgentSettings): (() => string) | undefined {
  const { token, host, allowedHosts = [], dataDir } = settings
  if (token === false) return undefined
  if (token !== undefined) return () => token
  return isLoopback(host) && allowedHosts.length === 0 ? undefined : openAccessToken(dataDir)
}

/** Results that are to be forgotten are also those that other peers may ask for again. */
function freeing(executor: Executor, worker: Pick<StageWorker, 'forget'>): FreedExecutor {
  return {
    fingerprint: (classType, inputs) => executor.fingerprint(classType, inputs),
    validation: (classType) => executor.validation(classType),
    prepare: () => executor.prepare(),
    free(what) {
      if (what.outputs) worker.forget()
      return executor.free(what)
    },
  }
}

function pausedSince(atMs: number): string {
  return `The queue is paused since ${new Date(atMs).toLocaleString()}: jobs are accepted, but none begins until \`comfymesh queue resume\``
}

function nativeExecutor(settings: AgentSettings, valuesFolder: string, log: Log) {
  const { folders, threads, vramBytes, provider } = settings
  return createNativeExecutor({
    folders,
    valuesFolder,
    log: (line) => log.debug(`runner: ${line}`),
    warn: (message) => log.warn(message),
    ...(provider !== undefined && { provider }),
    ...(threads !== undefined && { threads }),
    ...(vramBytes !== undefined && { memoryBudgetBytes: vramBytes }),
  })
}

function provide(folder: string): void {
  try {
    makeFolder(folder)
  } catch (cause) {
    const message = `The folder ${folder} cannot be made: ${(cause as Error).message}. Check its permissions, or choose another.`
    throw new MeshError('storage_failed', message, { cause })
  }
}

async function listen(start: () => Promise<string>, { host, port }: AgentSettings) {
  try {
    return await start()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why =
      code === 'EADDRINUSE'
        ? `Port ${port} is taken, perhaps by another agent. Stop that one, or choose another with --port (0 takes any free one).`
        : `Cannot listen on ${host}:${port}: ${message}. Choose another --host or --port.`
    throw new MeshError('invalid_settings', why, { cause })
  }
}

/** In reverse, each to its end whatever the others do; the first failure is told. */
async function stopAll(stops: Stop[]): Promise<void> {
  const failures: unknown[] = []
  for (const stop of stops.splice(0).reverse()) {
    try {
      await stop()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
