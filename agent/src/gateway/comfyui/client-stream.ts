/**
 * What one client is told of its jobs when several run at once; pure. ComfyUI runs one prompt
 * at a time, and clients count on it: its frontend knows one active job, which `execution_start`
 * sets and any `executing` without a node clears, whatever job that is about.
 *
 * So one job is shown as it runs. The others are hidden and told later in one piece, from their
 * state: only that is kept, and a program that follows its own prompt_id misses no message but
 * those about single steps.
 */

import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { neverBegan } from '@comfymesh/protocol/job-summary'
import type { JobUpdate } from '../../execution/live-job.ts'
import { announcement, ending, type Message, messagesFor, reminder } from './messages.ts'

export interface ClientStream {
  /** The job that the client sees running, in its latest state. */
  readonly shown: JobState | undefined
  /** Jobs that began later, running or ended, of which the client was told nothing yet. */
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
 * @param patience how many hidden jobs may have ended and wait for the shown one to end. What is
 *   more is told at once, in the middle of the shown job, of which the client is reminded then.
 */
export function follow(
  { shown, hidden }: ClientStream,
  update: JobUpdate,
  remaining: number,
  patience: number,
): StreamStep {
  const { state } = update
  const messages = messagesFor(update, remaining)
  if (shown === undefined || isSame(shown, state)) {
    if (state.status === 'running') return { stream: { shown: state, hidden }, messages }
    return showNext(hidden, messages)
  }
  const forAll = messages.filter(({ audience }) => audience === 'everybody')
  const now = changed(hidden, state)
  const ended = now.filter(isFinished)
  const due = ended.slice(0, Math.max(0, ended.length - patience))
  if (due.length === 0) return { stream: { shown, hidden: now }, messages: forAll }
  const left = now.filter((one) => !due.includes(one))
  const told = [...forAll, ...due.flatMap(whole), ...reminder(shown)]
  return { stream: { shown, hidden: left }, messages: told }
}

/** The shown job ended: those that did so before are told, and the one that runs longest is shown. */
function showNext(hidden: readonly JobState[], messages: readonly Message[]): StreamStep {
  const ended = hidden.filter(isFinished).flatMap(whole)
  const [next, ...others] = hidden.filter((one) => !isFinished(one))
  const begun = next === undefined ? [] : announcement(next)
  return { stream: { shown: next, hidden: others }, messages: [...messages, ...ended, ...begun] }
}

function changed(hidden: readonly JobState[], state: JobState): readonly JobState[] {
  if (state.status === 'queued' || state.status === 'paused')
    return hidden.filter((one) => !isSame(one, state))
  const at = hidden.findIndex((one) => isSame(one, state))
  if (at >= 0) return hidden.with(at, state)
  return neverBegan(state) ? hidden : [...hidden, state]
}

/** All that there is to say of a job that ended. */
function whole(state: JobState): Message[] {
  return [...announcement(state), ...ending(state)]
}

function isSame(a: JobState, b: JobState): boolean {
  return a.request.id === b.request.id
}
