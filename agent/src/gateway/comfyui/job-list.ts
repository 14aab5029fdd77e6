/** Jobs as ComfyUI's /api/jobs shows them: one shape for those that wait, run and ended. Pure. */
import { isFinished, type JobState, type JobStatus } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { historyEntry } from './history.ts'
import { errorData } from './messages.ts'

const statusNames = {
  queued: 'pending',
  running: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  interrupted: 'cancelled',
} as const satisfies Record<JobStatus, string>

export const jobStatuses: readonly string[] = Object.values(statusNames)

export interface JobFilter {
  /** Names of ComfyUI; all where absent. */
  readonly statuses?: readonly string[]
  readonly workflowId?: string
  readonly sortBy: 'created_at' | 'execution_duration'
  readonly descending: boolean
  readonly offset: number
  readonly limit?: number
}

export interface JobPage {
  readonly jobs: readonly JobState[]
  /** How many there are on all pages. */
  readonly total: number
}

export function pageOf(all: readonly JobState[], filter: JobFilter): JobPage {
  const { statuses, workflowId, sortBy, descending, offset, limit } = filter
  const keyOf = sortBy === 'created_at' ? createdAt : durationMs
  const direction = descending ? -1 : 1
  const found = all
    .filter((job) => statuses?.includes(statusNames[job.status]) ?? true)
    .filter((job) => !workflowId || workflowIdOf(job) === workflowId)
    .sort((a, b) => direction * (keyOf(a) - keyOf(b)))
  const end = limit === undefined ? found.length : offset + limit
  return { jobs: found.slice(offset, end), total: found.length }
}

/** A job in a list; what is not known is left out. */
export function jobItem(job: JobState): JsonObject {
  const { request, status, startedAtMs, finishedAtMs } = job
  const workflowId = workflowIdOf(job)
  const item = {
    id: request.id,
    status: statusNames[status],
    priority: request.number,
    create_time: request.createdAtMs,
    ...(isFinished(job) && { execution_start_time: startedAtMs, execution_end_time: finishedAtMs }),
    ...(status === 'failed' && {
      execution_error: { ...errorData(job), timestamp: finishedAtMs ?? null },
    }),
    ...(isFinished(job) ? outputsSummary(job) : noOutputs),
    workflow_id: workflowId,
  }
  const known = Object.entries(item).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(known) as JsonObject
}

/** A job by itself: its prompt, and what came of it where it ended. */
export function jobDetail(job: JobState): JsonObject {
  const { prompt, extraData } = job.request
  const { outputs, status } = historyEntry(job)
  return {
    ...jobItem(job),
    ...(isFinished(job) && { outputs: outputs!, execution_status: status! }),
    workflow: { prompt: prompt as unknown as JsonObject, extra_data: extraData },
  }
}

function createdAt(job: JobState): number {
  return job.request.createdAtMs
}

function durationMs({ startedAtMs, finishedAtMs }: JobState): number {
  return startedAtMs && finishedAtMs ? finishedAtMs - startedAtMs : 0
}

function workflowIdOf({ request }: JobState): JsonValue | undefined {
  const member = (value: JsonValue | undefined, key: string) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value[key] : undefined
  return member(member(request.extraData.extra_pnginfo, 'workflow'), 'id')
}

const noOutputs = { outputs_count: 0, previewable_outputs_count: 0 }

const PREVIEWABLE_KINDS = ['images', 'video', 'audio', '3d', 'text']
const PREVIEWABLE_FILE = /\.(obj|fbx|gltf|glb|usdz|txt|md|json)$/i
const TEXT_FILE = /\.(txt|md|json)$/i

/** A longer text is cut where it stands for a job. */
const MAX_PREVIEW_LENGTH = 1024

interface Shown {
  readonly nodeId: string
  readonly mediaType: string
  readonly item: JsonValue
}

/**
 * How much a job shows, and what stands for it in a list: a saved picture before a
 * temporary one, a file of text after them, and a bare text last.
 */
function outputsSummary({ outputs }: JobState): JsonObject {
  const all = Object.entries(outputs).flatMap(([nodeId, output]) =>
    Object.entries(output).flatMap(([mediaType, items]): Shown[] =>
      Array.isArray(items) && mediaType !== 'animated'
        ? items.map((item) => ({ nodeId, mediaType, item }))
        : [],
    ),
  )
  const files: ShownFile[] = all.filter(isFile)
  const previewable = files.filter(isPreviewable)
  const visible = previewable.filter((shown) => !isText(shown))
  const chosen = visible.find(({ item }) => item.type === 'output') ?? visible[0] ?? previewable[0]
  const preview = chosen === undefined ? textPreview(all) : filePreview(chosen)
  return {
    outputs_count: files.length,
    previewable_outputs_count: previewable.length,
    ...(preview && { preview_output: preview }),
  }
}

interface ShownFile extends Shown {
  readonly item: JsonObject
}

function isFile(shown: Shown): shown is ShownFile {
  return typeof shown.item === 'object' && shown.item !== null && !Array.isArray(shown.item)
}

function isPreviewable({ mediaType, item }: ShownFile): boolean {
  return (
    PREVIEWABLE_KINDS.includes(mediaType) ||
    /^(video|audio)\//.test(String(item.format ?? '')) ||
    PREVIEWABLE_FILE.test(String(item.filename ?? ''))
  )
}

function isText({ mediaType, item }: ShownFile): boolean {
  return mediaType === 'text' || TEXT_FILE.test(String(item.filename ?? ''))
}

function filePreview({ item, nodeId, mediaType }: ShownFile): JsonObject {
  return { mediaType, ...item, nodeId }
}

function textPreview(all: readonly Shown[]): JsonObject | undefined {
  const text = all.find((shown) => shown.mediaType === 'text' && !isFile(shown))
  if (text === undefined) return undefined
  const content = String(text.item)
  const isLong = content.length > MAX_PREVIEW_LENGTH
  return {
    content: content.slice(0, MAX_PREVIEW_LENGTH),
    ...(isLong && { truncated: true }),
    nodeId: text.nodeId,
    mediaType: text.mediaType,
  }
}
