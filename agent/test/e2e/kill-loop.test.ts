/**
 * kill -9 again and again while prompts are submitted: whatever was accepted is in the history
 * once, its picture whole and saved once. A longer run, and a certain one:
 * `npx tap run test/e2e/kill-loop.test.ts --test-arg=<rounds> --test-arg=<seed>`
 */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { type BuiltAgent, oneThread, startBuiltAgent } from '../built-agent.ts'
import { randomNumbers } from '../random.ts'
import { ask } from '../test-agent.ts'
import { decodePixels, type HistoryEntry, pictureOf, textToImage } from './prompts.ts'

const [rounds = 4, seed = Date.now() % 100_000] = process.argv.slice(2).map(Number)

// Starting and computing, on a machine that is busy with other things too.
t.setTimeout((rounds + 4) * 60_000)

/** A job lasts about so long; kills fall anywhere before. */
const LONGEST_LIFE_MS = 2000

interface Submitted {
  /** Jobs that the agent said it has. */
  readonly accepted: string[]
  /** Those it had no time to answer for. */
  readonly unanswered: string[]
}

/** Submits one prompt after the other until the agent is gone. */
async function submitUntilGone({ url }: BuiltAgent, random: () => number, told: Submitted) {
  for (;;) {
    const id = randomUUID()
    const prompt = textToImage({ seed: Math.floor(random() * 1e9), steps: 1 })
    const body = stringifyJson({ prompt, prompt_id: id } as JsonValue)
    try {
      const response = await fetch(`${url}/prompt`, { method: 'POST', body })
      if (response.ok) told.accepted.push(id)
      await sleep(random() * 500)
    } catch {
      told.unanswered.push(id)
      return
    }
  }
}

async function oneLife(t: Test, dataDir: string, random: () => number, told: Submitted) {
  const agent = await startBuiltAgent(dataDir, oneThread)
  t.teardown(() => agent.kill())
  const submitting = submitUntilGone(agent, random, told)
  await sleep(random() * LONGEST_LIFE_MS)
  t.equal((await agent.kill()).signal, 'SIGKILL')
  await submitting
}

t.test(`${rounds} lives, seed ${seed}`, async (t) => {
  const random = randomNumbers(seed)
  const dataDir = join(t.testdir({}), 'data')
  const told: Submitted = { accepted: [], unanswered: [] }
  // Short lives on a busy machine may all end before the agent has answered anything.
  for (let round = 0; round < rounds || told.accepted.length === 0; round++)
    await oneLife(t, dataDir, random, told)

  const agent = await startBuiltAgent(dataDir, oneThread)
  t.teardown(() => agent.stop())
  while (
    stringifyJson((await ask(agent, 'GET', '/prompt')).body.exec_info) !== '{"queue_remaining":0}'
  )
    await sleep(100)
  const history = (await ask(agent, 'GET', '/history')).body as unknown as Record<
    string,
    HistoryEntry
  >
  const ids = Object.keys(history)
  t.comment(`${told.accepted.length} accepted, ${told.unanswered.length} unanswered`)
  for (const id of told.accepted) t.ok(ids.includes(id), `accepted job ${id} is in the history`)
  const known = new Set([...told.accepted, ...told.unanswered])
  t.strictSame(
    ids.filter((id) => !known.has(id)),
    [],
    'and nothing else',
  )

  const names: string[] = []
  for (const [id, entry] of Object.entries(history)) {
    t.match(entry.status, { status_str: 'success', completed: true }, id)
    t.ok(await decodePixels(await pictureOf(agent, entry)), 'its picture is whole')
    names.push(entry.outputs['9']!.images![0]!.filename)
  }
  t.strictSame(readdirSync(agent.outputDir).toSorted(), names.toSorted(), 'each saved once')
})
