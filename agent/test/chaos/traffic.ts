/** The users of the chaos: they submit at random machines, answer questions and remember what they were told. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JsonObject, type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import type { Chance } from '../random.ts'
import type { Machine } from './machine.ts'
import { type RandomPrompt, randomPrompt } from './prompts.ts'

export interface Submission extends RandomPrompt {
  readonly id: string
  readonly machine: Machine
  readonly atMs: number
  /** `unanswered`: the machine went before it said whether it has the job. */
  answer: 'waiting' | 'accepted' | 'refused' | 'unanswered'
  refusal?: string
  /** When a user wanted it ended, whether or not the machine heard of it. */
  cancelledAtMs?: number
}

export interface Traffic {
  readonly submissions: readonly Submission[]
  /** Submits until the time has come. */
  submitUntil(endsAtMs: number): Promise<void>
  /** Answers what paused jobs of a machine ask; with `go` where nothing is left to chance. */
  answerQuestions(machine: Machine, isRandom: boolean): Promise<void>
  /** Cancels some job of a machine. @returns false where none comes in time. */
  cancelOne(machine: Machine): Promise<boolean>
}

const BURST_PAUSE_MS = { least: 500, most: 6000 }
/** A mesh that is busy with more proves nothing more. */
const MOST_UNFINISHED = 20
/** Jobs are over soon: whoever wants to cancel one waits for it. */
const JOB_WITHIN_MS = 8000

export function createTraffic(machines: readonly Machine[], chance: Chance): Traffic {
  const submissions: Submission[] = []
  const names = machines.map(({ name }) => name)

  async function submit(machine: Machine): Promise<void> {
    const wanted = randomPrompt(chance, machines)
    const id = randomUUID()
    const submission: Submission = {
      ...wanted,
      id,
      machine,
      atMs: Date.now(),
      answer: 'waiting',
    }
    submissions.push(submission)
    const { prompt, extraData } = wanted
    const body = stringifyJson({ prompt_id: id, prompt, extra_data: extraData } as JsonValue)
    try {
      const answer = await machine.ask('POST', '/prompt', body)
      submission.answer = answer.status === 200 ? 'accepted' : 'refused'
      if (answer.status !== 200) submission.refusal = stringifyJson(answer.body)
    } catch {
      submission.answer = 'unanswered'
    }
  }

  const jobsOf = async (machine: Machine, status: string): Promise<string[]> => {
    const { body } = await machine.ask('GET', `/v1/jobs?limit=1000&status=${status}`)
    return (body.jobs as JsonObject[]).map(({ id }) => String(id))
  }
  const cancelled = (id: string) => {
    const submission = submissions.find((one) => one.id === id)
    if (submission !== undefined) submission.cancelledAtMs ??= Date.now()
  }

  return {
    submissions,
    async submitUntil(endsAtMs) {
      const running = new Set<Promise<void>>()
      while (Date.now() < endsAtMs) {
        const serving = machines.filter(({ agent }) => agent !== undefined)
        if (serving.length > 0 && (await unfinished(serving)) < MOST_UNFINISHED) {
          const machine = chance.pick(serving)
          const burst = chance.next() < 0.7 ? 1 : 2 + chance.whole(3)
          for (let index = 0; index < burst; index++) {
            const submitting = submit(machine).finally(() => running.delete(submitting))
            running.add(submitting)
          }
        }
        await sleep(chance.between(BURST_PAUSE_MS.least, BURST_PAUSE_MS.most))
      }
      await Promise.all(running)
    },
    async answerQuestions(machine, isRandom) {
      for (const id of await jobsOf(machine, 'paused')) {
        const choices = ['go', 'go', 'go', 'cancel', { peer: chance.pick(names) }] as const
        const answer = isRandom ? chance.pick(choices) : 'go'
        if (answer === 'cancel') cancelled(id)
        await machine.ask('POST', `/v1/jobs/${id}/answer`, stringifyJson({ answer } as JsonValue))
      }
    },
    async cancelOne(machine) {
      const untilMs = Date.now() + JOB_WITHIN_MS
      let ids: string[] = []
      while (ids.length === 0) {
        if (Date.now() > untilMs) return false
        await sleep(100)
        ids = await jobsOf(machine, 'queued,running,paused')
      }
      const id = chance.pick(ids)
      cancelled(id)
      await machine.ask('POST', `/v1/jobs/${id}/cancel`)
      return true
    },
  }
}

/** What waits or runs on the machines that say so at once. */
async function unfinished(machines: readonly Machine[]): Promise<number> {
  const counts = machines.map(async (machine) => {
    try {
      const { body } = await machine.ask('GET', '/prompt')
      return Number((body.exec_info as JsonObject).queue_remaining)
    } catch {
      return 0
    }
  })
  const late = sleep(1000, undefined, { ref: false }).then(() => 0)
  const known = await Promise.all(counts.map((count) => Promise.race([count, late])))
  return known.reduce((sum, count) => sum + count, 0)
}
