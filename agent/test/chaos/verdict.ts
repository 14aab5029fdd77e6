/** What became of each job, and whether that may be. */
import { createHash } from 'node:crypto'
import { isFinished, type JobState, plansOf } from '@comfymesh/protocol/job'
import { type JsonObject, stringifyJson } from '@comfymesh/protocol/json'
import { decodePixels, type HistoryEntry, historyOf, pictureOf, submit } from '../e2e/prompts.ts'
import type { Fault } from './faults.ts'
import type { Machine } from './machine.ts'
import type { Submission } from './traffic.ts'

export interface Ended {
  readonly submission: Submission
  /** Absent where the machine does not know the job. */
  readonly state: JobState | undefined
  /** Machines that have it in their history. */
  readonly histories: readonly string[]
  /** A hash of the pixels of its picture. */
  readonly pixels?: string
}

/** Reads what all machines tell, once everything has ended. */
export async function readEnds(
  machines: readonly Machine[],
  submissions: readonly Submission[],
): Promise<Ended[]> {
  const histories = new Map<Machine, JsonObject>()
  for (const machine of machines) {
    histories.set(machine, (await machine.ask('GET', '/history?max_items=100000')).body)
  }
  const ends: Ended[] = []
  for (const submission of submissions) {
    const { id, machine } = submission
    const { status, body } = await machine.ask('GET', `/v1/jobs/${id}`)
    const state = status === 200 ? (body as unknown as JobState) : undefined
    const holders = machines.filter((one) => histories.get(one)![id] !== undefined)
    const entry = histories.get(machine)![id] as unknown as HistoryEntry | undefined
    const isDrawn = state?.status === 'completed' && entry !== undefined
    ends.push({
      submission,
      state,
      histories: holders.map(({ name }) => name),
      ...(isDrawn && { pixels: await pixelHash(machine.agent!, entry) }),
    })
  }
  return ends
}

async function pixelHash(agent: { readonly url: string }, entry: HistoryEntry): Promise<string> {
  const pixels = await decodePixels(await pictureOf(agent, entry))
  return createHash('sha256').update(pixels).digest('hex')
}

/** The pixels that one calm machine draws. */
export async function calmPixels(machine: Machine, { prompt }: Submission): Promise<string> {
  const id = await submit(machine.agent!, prompt)
  return pixelHash(machine.agent!, await historyOf(machine.agent!, id))
}

/** How long before a job something may have happened that still explains its end. */
const AFTERMATH_MS = 30_000

/** Codes that say of a failure that somebody was not there, and not that the work was wrong. */
const explained = new Set(['peer_unreachable', 'runner_died', 'value_lost', 'no_peer'])

/** @returns what is wrong with the end of a job; undefined where nothing is. */
export function complaint(
  { submission, state, histories }: Ended,
  faults: readonly Fault[],
): string | undefined {
  const { answer, cancelledAtMs } = submission
  if (state === undefined) {
    if (answer === 'accepted') return 'it was accepted, and nobody knows it'
    return histories.length > 0 ? `${histories.join(', ')} has it though it was refused` : undefined
  }
  if (answer === 'refused') return 'it was refused, and is there nevertheless'
  if (!isFinished(state)) return `it hangs: ${state.status}`
  // As in ComfyUI: what was taken out of the queue before it began is in no history.
  const wanted = state.status === 'interrupted' && state.startedAtMs === undefined ? 0 : 1
  if (histories.length !== wanted) return `it is in ${histories.length} histories`
  if (state.status === 'interrupted') {
    return cancelledAtMs === undefined ? 'it was interrupted, and nobody wanted that' : undefined
  }
  if (state.status === 'completed') return undefined
  const code = state.error?.code ?? 'nothing'
  if (!explained.has(code)) return `it failed with ${code}: ${state.error?.message}`
  const concerned = concerns(submission)
  const isStruck = nearby(submission, state, faults).some(({ machine }) => concerned(machine))
  return isStruck ? undefined : `it failed with ${code}, and no fault explains it`
}

/** Whether a machine may be why a job failed: it was submitted there or bound to it, or bound to none. */
function concerns({ machine, extraData }: Submission): (name: string) => boolean {
  const { affinity = {} } = (extraData.comfymesh ?? {}) as { affinity?: Record<string, string> }
  const bound = Object.values(affinity)
  return (name) => bound.length === 0 || bound.includes(name) || name === machine.name
}

/** Faults that a job may have felt. */
function nearby({ atMs }: Submission, state: JobState, faults: readonly Fault[]): Fault[] {
  const endMs = state.finishedAtMs ?? Date.now()
  return faults.filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= atMs - AFTERMATH_MS)
}

/** What a job met, in some lines. */
export function storyOf({ submission, state, histories }: Ended, faults: readonly Fault[]): string {
  const { id, shape, machine, atMs, extraData, answer, cancelledAtMs, refusal } = submission
  const at = (ms: number) => `${((ms - atMs) / 1000).toFixed(1)} s`
  const lines = [
    `${id} (${shape} at ${machine.name}, ${answer}, ${new Date(atMs).toISOString()}) ${stringifyJson(extraData)}`,
    ...(refusal === undefined ? [] : [`refused: ${refusal}`]),
    ...(cancelledAtMs === undefined ? [] : [`cancelled at ${at(cancelledAtMs)}`]),
  ]
  if (state === undefined) return lines.join('\n    ')
  const named = new Map(
    plansOf(state).flatMap(({ plan }) => plan.placements.map((one) => [one.peerId, one.peerName])),
  )
  lines.push(`${state.status}, in the history of ${histories.join(', ') || 'nobody'}`)
  if (state.error !== undefined) lines.push(`error ${stringifyJson({ ...state.error } as never)}`)
  for (const { stageId, peerId, sentAtMs, endedAtMs, status, error } of state.attempts) {
    const end = endedAtMs === undefined ? '' : ` to ${at(endedAtMs)}`
    const why = error === undefined ? '' : `: ${error.code}: ${error.message}`
    const where = named.get(peerId) ?? peerId
    lines.push(`stage ${stageId} on ${where} ${at(sentAtMs)}${end} ${status}${why}`)
  }
  for (const { kind, machine, fromMs, toMs } of nearby(submission, state, faults)) {
    lines.push(`fault: ${kind} of ${machine} ${at(fromMs)} to ${at(toMs)}`)
  }
  return lines.join('\n    ')
}
