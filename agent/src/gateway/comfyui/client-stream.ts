/**
 * What one client is told of its jobs when several run at once; pure. ComfyUI runs one
 * prompt at a time, and its frontend knows one active job: `execution_start` makes a job
 * active, and any `executing` without a node makes it idle, whatever job that is about.
 *
 * So one job is shown as it runs. The others are hidden until it ends or they do, and then
 * told in one piece, from their state: nothing has to be kept but the state, and a program
 * that follows its own prompt_id gets each of its messages, in order, only not each step.
 */
import { isFinished, type JobState } from '@comfymesh/protocol/job'
import type { JobUpdate } from '../../execution/live-job.ts'
import { announcement, type Message, messagesFor, reminder } from './messages.ts'

export interface ClientStream {
  /** The job that the client sees running, in its latest state. */
  readonly shown: JobState | undefined
  /** Jobs that run too, of which the client was told nothing yet; the longest running first. */
  readonly hidden: readonly JobState[]
}

export interface StreamStep {
  readonly stream: ClientStream
  /** In the order in which they go out. */
  readonly messages: readonly Message[]
}

/** None of the client's jobs runs. */
export const idleStream: ClientStream = { shown: undefined, hidden: [] }

/**
 * The stream after an update of one of the client's jobs, and what is said about it.
 * @param remaining how many jobs of the agent wait or run after the update.
 */
export function follow(stream: ClientStream, update: JobUpdate, remaining: number): StreamStep {
  const { state } = update
  const messages = messagesFor(update, remaining)
  if (stream.shown !== undefined && !isSame(stream.shown, state))
    return followHidden({ ...stream, shown: stream.shown }, state, messages)
  if (state.status === 'running') return { stream: { ...stream, shown: state }, messages }
  // It ended, or goes back to the queue: the one that has run for longest takes its place.
  const [next, ...hidden] = stream.hidden
  const told = next === undefined ? messages : [...messages, ...announcement(next)]
  return { stream: { shown: next, hidden }, messages: told }
}

/** An update of a job while the client sees another one. */
function followHidden(
  { shown, hidden }: ClientStream & { readonly shown: JobState },
  state: JobState,
  messages: readonly Message[],
): StreamStep {
  const at = hidden.findIndex((one) => isSame(one, state))
  if (state.status === 'running') {
    const now = at < 0 ? [...hidden, state] : hidden.with(at, state)
    const forAll = messages.filter(({ audience }) => audience === 'everybody')
    return { stream: { shown, hidden: now }, messages: forAll }
  }
  const stream = { shown, hidden: hidden.filter((one) => !isSame(one, state)) }
  if (at < 0 || !isFinished(state)) return { stream, messages }
  return { stream, messages: [...announcement(state), ...messages, ...reminder(shown)] }
}

function isSame(a: JobState, b: JobState): boolean {
  return a.request.id === b.request.id
}
