/** How the demo tells what happened: scenes, what ran where, and the bytes that went between machines. */

import { type JobState, plansOf } from '@comfymesh/protocol/job'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import { byteSize, counted, duration } from '../../base/duration.ts'
import type { Terminal } from '../terminal.ts'

const BAR_WIDTH = 30
const NAME_WIDTH = 8
const WHAT_WIDTH = 34

export interface Story {
  scene(title: string): void
  say(line: string): void
  good(line: string): void
  bad(line: string): void
  /** A line for every attempt at a stage, as a bar over the time of the job. */
  timeline(state: JobState): void
}

export function createStory(terminal: Terminal, write: (line: string) => void): Story {
  const { paint } = terminal
  let scenes = 0
  return {
    scene(title) {
      scenes++
      write('')
      write(paint('bold', `${scenes}  ${title}`))
    },
    say: (line) => write(`   ${line}`),
    good: (line) => write(`   ${paint('green', '✓')} ${line}`),
    bad: (line) => write(`   ${paint('red', '✗')} ${line}`),
    timeline(state) {
      for (const line of timelineRows(state, terminal)) write(`     ${line}`)
    },
  }
}

/** `3 stages on desk and tower, 218 KB between machines, 1.9 s`, for the end of a scene. */
export function outcomeLine(state: JobState): string {
  const { stages, startedAtMs = 0, finishedAtMs = startedAtMs, transferBytes } = state
  const names = [...new Set(stages.map(({ peerId }) => peerName(state, peerId)))]
  const moved = transferBytes === 0 ? '0 bytes' : byteSize(transferBytes)
  const took = duration(finishedAtMs - startedAtMs)
  return `${counted(stages.length, 'stage')} on ${names.join(' and ')}, ${moved} between machines, ${took}`
}

export function peerName(state: JobState, peerId: string): string {
  const placements = plansOf(state).flatMap(({ plan }) => plan.placements)
  return placements.find((placement) => placement.peerId === peerId)?.peerName ?? peerId
}

function timelineRows(state: JobState, { paint }: Terminal): string[] {
  const { attempts, startedAtMs = 0, finishedAtMs = startedAtMs } = state
  const first = Math.min(...attempts.map(({ sentAtMs }) => sentAtMs))
  const scale = BAR_WIDTH / Math.max(1, finishedAtMs - first)
  return attempts.map((attempt) => {
    const { sentAtMs, endedAtMs = finishedAtMs } = attempt
    const from = Math.min(BAR_WIDTH - 1, Math.floor((sentAtMs - first) * scale))
    const length = Math.max(1, Math.round((endedAtMs - sentAtMs) * scale))
    const bar = '━'.repeat(Math.min(length, BAR_WIDTH - from))
    const isGood = attempt.status === 'finished'
    const name = peerName(state, attempt.peerId).padEnd(NAME_WIDTH)
    const painted = ' '.repeat(from) + paint(isGood ? 'cyan' : 'red', bar)
    const rest = ' '.repeat(BAR_WIDTH - from - bar.length)
    const time = duration(endedAtMs - sentAtMs).padStart(7)
    return `${name} ${what(state, attempt).padEnd(WHAT_WIDTH)} ${painted}${rest} ${time}`
  })
}

/** The work of a stage in the words of its nodes, what only prepares left out. */
function what(state: JobState, { stageId, status }: StageAttempt): string {
  const stages = plansOf(state).flatMap(({ plan }) => plan.stages)
  const nodes = stages.find(({ id }) => id === stageId)?.nodes ?? []
  const telling = nodes.filter(({ classType }) => TOLD.has(classType))
  const titles = (telling.length > 0 ? telling : nodes).map(({ id }) =>
    titleOf(state.request.prompt[id]!).toLowerCase(),
  )
  const words = [...new Set(titles)].join(', ')
  const told = status === 'finished' ? words : `${words} (lost)`
  return told.length > WHAT_WIDTH ? `${told.slice(0, WHAT_WIDTH - 1)}…` : told
}

const TOLD = new Set(['CLIPTextEncode', 'KSampler', 'VAEDecode', 'SaveImage'])
