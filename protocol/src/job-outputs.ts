/** What a job's output nodes showed, counted and with a picture that stands for it. Pure. */
import { z } from 'zod'
import type { JobState } from './job.ts'
import type { JsonObject, JsonValue } from './json.ts'

type Outputs = JobState['outputs']

export const shownFileSchema = z.object({
  filename: z.string(),
  subfolder: z.string(),
  type: z.enum(['input', 'output', 'temp']),
})

/** A file that a node says it made. */
export interface JobFile extends z.infer<typeof shownFileSchema> {
  readonly nodeId: string
}

export interface ShownOutputs {
  /** How many files there are, and how many of them a browser can show. */
  readonly count: number
  readonly previewableCount: number
  /** What stands for the job in a list: a file or a text, with `nodeId` and `mediaType`. */
  readonly preview?: JsonObject
}

/** What was saved for good, or what was shown where there is nothing else, in the order of the nodes. */
export function filesOf(outputs: Outputs): JobFile[] {
  const all = Object.entries(outputs).flatMap(([nodeId, output]) =>
    Object.values(output)
      .flat()
      .flatMap((shown) => {
        const { success, data } = shownFileSchema.safeParse(shown)
        return success ? [{ ...data, nodeId }] : []
      }),
  )
  const saved = all.filter(({ type }) => type === 'output')
  return saved.length > 0 ? saved : all
}

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
export function shownOutputs(outputs: Outputs): ShownOutputs {
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
    count: files.length,
    previewableCount: previewable.length,
    ...(preview && { preview }),
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
