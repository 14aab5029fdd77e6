/**
 * The way of a runner's reports to its agent: a pipe beside Node's own channel, because who writes
 * to the agent wakes it, and Linux then mostly hands it the writer's processor: 1 ms in which no
 * session runs. Steps are written by another thread, which costs 0.2 ms. All else is written at
 * once: it has to arrive though the next thing that the runner does may kill it.
 *
 * On Windows this end of a `pipe` of child_process is a handle for synchronous writing (libuv opens it
 * without FILE_FLAG_OVERLAPPED), as fs.write needs it; `overlapped` would make it another one. Such a
 * handle does one thing at a time, so nothing may be read from it: a pending read holds up writes.
 */
import { write, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { deserialize, serialize } from 'node:v8'
import { createFrameSplitter, framed } from '../../base/frames.ts'
import type { Message, Reports } from './runner-messages.ts'

/** Where the runner finds the pipe, behind the three of every process and Node's channel. */
export const REPORTS_DESCRIPTOR = 4

/**
 * For the runner.
 * @returns sends a message, in order. What an agent that is gone would have been told is dropped.
 */
export function createReportSender(
  descriptor = REPORTS_DESCRIPTOR,
): (message: Message<Reports>) => void {
  let waiting: Uint8Array[] = []
  let isWriting = false
  const isGone = () => {
    waiting = []
  }

  function writeRest(bytes: Uint8Array): void {
    write(descriptor, bytes, (error, count) => {
      if (error === null && count < bytes.length) return writeRest(bytes.subarray(count))
      isWriting = false
      if (error !== null) return isGone()
      writeWaiting()
    })
  }

  function writeWaiting(): void {
    if (waiting.length === 0) return
    const bytes = Buffer.concat(waiting)
    waiting = []
    isWriting = true
    writeRest(bytes)
  }

  function writeNow(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
    } catch {
      isGone()
    }
  }

  return (message) => {
    const bytes = framed(serialize(message))
    if (!isWriting && !isOfTheMoment(message)) return writeNow(bytes)
    waiting.push(bytes)
    if (!isWriting) writeWaiting()
  }
}

function isOfTheMoment(message: Message<Reports>): boolean {
  return message.type === 'events' && message.events.every(({ type }) => type === 'node-progress')
}

/**
 * For the agent.
 * @returns when everything is read that the runner wrote before it ended.
 */
export function readReports(
  pipe: Readable,
  each: (message: Message<Reports>) => void,
): Promise<void> {
  const splitter = createFrameSplitter()
  pipe.on('data', (part: Buffer) => {
    for (const message of splitter.push(part)) each(deserialize(message) as Message<Reports>)
  })
  // A pipe that breaks ends as well, and that the runner ended is told by its exit.
  pipe.on('error', () => {})
  return new Promise((resolve) => pipe.once('close', resolve))
}
