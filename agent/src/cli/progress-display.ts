/** Shows a running job on standard error: a live line on a terminal, plain lines elsewhere. */
import { isFinished, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import { titleOf } from '@comfymesh/protocol/prompt-nodes'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { counted, duration } from '../base/duration.ts'
import { type FollowedJob, type JobTrace, type NodeTrace, stepsPerSecond } from './job-trace.ts'
import type { Terminal } from './terminal.ts'

export interface ProgressDisplay {
  /** @param event what led there; absent at first, when some of the job may be over already. */
  update(job: FollowedJob, event?: JobEvent): void
  /** Says something without disturbing the live line. */
  say(line: string): void
  close(): void
}

const CLEAR_LINE = '\r\x1b[2K'
const BAR_WIDTH = 24

/** Nodes that take less are not worth a line of their own. */
const NOTABLE_MS = 50

export function createProgressDisplay(
  prompt: Prompt,
  terminal: Terminal,
  write: (text: string) => void,
): ProgressDisplay {
  const title = (nodeId: string) => (prompt[nodeId] ? titleOf(prompt[nodeId]) : nodeId)
  const clear = () => terminal.isInteractive && write(CLEAR_LINE)
  const say = (line: string) => {
    clear()
    write(`${line}\n`)
  }

  function finishedLine(node: NodeTrace): string | undefined {
    const elapsedMs = (node.finishedAtMs ?? node.startedAtMs) - node.startedAtMs
    if (node.cached || (elapsedMs < NOTABLE_MS && node.steps === undefined)) return undefined
    const steps = node.steps ? `${counted(node.steps.max, 'step')} in ` : ''
    return `${terminal.paint('green', '✓')} ${title(node.nodeId)}  ${steps}${duration(elapsedMs)}`
  }

  function sayFinished(node: NodeTrace): void {
    const line = finishedLine(node)
    if (line !== undefined) say(line)
  }

  /** Failures of stages that nobody was told of: whether the job goes on is still to be heard. */
  let untold: string[] = []

  /** The one that ended the job is told by whoever reports its end. */
  function sayFailures({ error }: JobState): void {
    for (const message of untold) if (message !== error?.message) say(message)
    untold = []
  }

  function drawLive(trace: JobTrace): void {
    const running = trace.findLast((node) => node.finishedAtMs === undefined)
    if (!terminal.isInteractive || running === undefined) return
    write(CLEAR_LINE + liveLine(running, title(running.nodeId), terminal))
  }

  return {
    update({ state, trace }, event) {
      if (event === undefined) {
        if (state.status === 'queued') say('Waiting for other jobs to finish ...')
        for (const node of trace) if (node.finishedAtMs !== undefined) sayFinished(node)
        return drawLive(trace)
      }
      if (event.type === 'node-finished') {
        const node = trace.find(({ nodeId }) => nodeId === event.nodeId)
        if (node !== undefined) sayFinished(node)
      }
      if (event.type === 'stage-failed') untold.push(event.error.message)
      if (event.type === 'planned' || isFinished(state)) sayFailures(state)
      drawLive(trace)
    },
    say,
    close: () => {
      clear()
    },
  }
}

/** `  KSampler ━━━━━━━━━━━━━━────────── 12/20  6.1 steps/s  1 s left`, cut to the terminal's width. */
export function liveLine(node: NodeTrace, title: string, terminal: Terminal): string {
  const { steps } = node
  if (steps === undefined) return `  ${title} ...`
  const done = Math.round((BAR_WIDTH * steps.last.value) / steps.max)
  const bar =
    terminal.paint('cyan', '━'.repeat(done)) + terminal.paint('dim', '─'.repeat(BAR_WIDTH - done))
  const rate = stepsPerSecond(node)
  const leftMs = rate === undefined ? undefined : ((steps.max - steps.last.value) * 1000) / rate
  const speed = rate === undefined ? '' : `  ${rate.toPrecision(2)} steps/s`
  const left = leftMs === undefined ? '' : `  ${duration(leftMs)} left`
  const count = ` ${steps.last.value}/${steps.max}`
  const room = terminal.columns - 1 - 4 - BAR_WIDTH - count.length - speed.length - left.length
  return `  ${title.slice(0, Math.max(8, room))} ${bar}${count}${speed}${left}`
}
