/**
 * `npm run chaos -- --minutes N --seed S [--agents 4]`: machines of a mesh that are killed, frozen and cut
 * off at random while users submit at random; and whether every accepted job ended as it may.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { ModelPart } from '../../src/cli/demo/model-parts.ts'
import { connectedPeers, joinMesh } from '../loopback-mesh.ts'
import { isAlive } from '../processes.ts'
import { createChance } from '../random.ts'
import { createFaults, type Faults } from './faults.ts'
import { leaks, type Rest, restOf } from './leaks.ts'
import { createMachine, type Machine } from './machine.ts'
import { createTraffic, type Traffic } from './traffic.ts'
import { calmPixels, complaint, type Ended, readEnds, storyOf } from './verdict.ts'

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    agents: { type: 'string', default: '4' },
  },
})
const minutes = Number(flags.minutes)
const seed = Number(flags.seed)
const count = Number(flags.agents)
if (!(minutes > 0 && Number.isSafeInteger(seed) && Number.isSafeInteger(count) && count >= 2)) {
  console.error('npm run chaos -- --minutes 10 --seed 1 --agents 4 (two agents at least)')
  process.exit(2)
}
const say = (line: string) => console.log(line)

/** So long after the last fault everything that was accepted has ended. */
const SETTLE_MS = 180_000
/** And so long after that everything that was opened for it is closed. */
const REST_MS = 90_000

/** Two machines have each network at least, so that one of them may be gone. */
const endowments: readonly (readonly ModelPart[])[] = [
  ['text', 'unet', 'vae'],
  ['text', 'vae'],
  ['unet'],
  ['text', 'unet', 'vae'],
]

/** The mesh's own, the door and the bulk channel. */
const PORTS_PER_MACHINE = 4
/** Below those that systems give to whoever connects: a machine that is away would lose its port. */
const firstPort = 20_000 + (process.pid % 500) * 4 * PORTS_PER_MACHINE

const startedAtMs = Date.now()
const elapsed = () => `${((Date.now() - startedAtMs) / 60_000).toFixed(1)} min`

async function startMesh(root: string): Promise<Machine[]> {
  const machines: Machine[] = []
  for (let index = 0; index < count; index++) {
    const name = `machine-${index + 1}`
    const parts = endowments[index % endowments.length]!
    machines.push(
      await createMachine({
        name,
        folder: join(root, name),
        parts,
        meshPort: firstPort + index * PORTS_PER_MACHINE,
      }),
    )
  }
  const [first, ...others] = machines
  for (const machine of machines) await machine.start()
  for (const [index, machine] of others.entries()) {
    await joinMesh(first!.agent!, machine.agent!, index + 1)
  }
  for (const machine of machines) await connectedPeers(machine.agent!, count - 1)
  return machines
}

/** Looks after the machines that nothing is just being done to. */
async function attendUntil(
  isOver: () => boolean,
  machines: readonly Machine[],
  traffic: Traffic,
  faults: Faults,
) {
  while (!isOver()) {
    await sleep(1000)
    for (const machine of machines) {
      if (faults.isStruck(machine)) continue
      await machine.attend()
      await traffic.answerQuestions(machine, true).catch(() => {})
    }
  }
}

/** Lets everything come to its end. @returns how long the slowest took. */
async function settle(machines: readonly Machine[], traffic: Traffic): Promise<number> {
  const fromMs = Date.now()
  for (const machine of machines) await machine.ask('POST', '/v1/queue/resume')
  while (Date.now() - fromMs < SETTLE_MS) {
    let remaining = 0
    for (const machine of machines) {
      await machine.attend()
      await traffic.answerQuestions(machine, false)
      remaining += (await restOf(machine)).jobs
    }
    if (remaining === 0) break
    await sleep(500)
  }
  return Date.now() - fromMs
}

async function leaksAtRest(machine: Machine, before: Rest): Promise<string[]> {
  const untilMs = Date.now() + REST_MS
  for (;;) {
    const now = await restOf(machine)
    const found = leaks(before, now)
    if (found.length === 0 || Date.now() > untilMs) {
      const { blobBytes, leftovers: _, ...figures } = now
      say(`  ${machine.name}: ${JSON.stringify({ ...figures, blobBytes })}`)
      return found.map((one) => `${machine.name} still holds ${one}`)
    }
    await sleep(1000)
  }
}

/** Draws every completed picture again in peace. */
async function wrongPictures(root: string, ends: readonly Ended[]): Promise<string[]> {
  const parts = ['text', 'unet', 'vae'] as const
  const options = { name: 'calm', folder: join(root, 'calm'), parts }
  const machine = await createMachine(options)
  await machine.start()
  const wrong: string[] = []
  for (const { submission, pixels } of ends) {
    if (pixels === undefined) continue
    if ((await calmPixels(machine, submission)) === pixels) continue
    wrong.push(`${submission.id}: its pixels are not those of a single machine`)
  }
  await machine.stop()
  return wrong
}

function tally(words: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].map(([word, times]) => `${times} ${word}`).join(', ') || 'none'
}

function progressLine(traffic: Traffic, faults: Faults): string {
  const { submissions } = traffic
  const answers = tally(submissions.map(({ answer }) => answer))
  return `${elapsed()}: ${submissions.length} jobs (${answers}), ${faults.inflicted.length} faults`
}

async function unleash(
  machines: readonly Machine[],
): Promise<{ traffic: Traffic; faults: Faults }> {
  const traffic = createTraffic(machines, createChance(seed))
  const faults = createFaults(machines, traffic, createChance(seed + 1))
  const endsAtMs = Date.now() + minutes * 60_000
  const ticker = setInterval(() => say(progressLine(traffic, faults)), 60_000)
  let isOver = false
  const attending = attendUntil(() => isOver, machines, traffic, faults)
  await Promise.all([traffic.submitUntil(endsAtMs), faults.strikeUntil(endsAtMs)])
  isOver = true
  await attending
  clearInterval(ticker)
  return { traffic, faults }
}

function summary(ends: readonly Ended[], faults: Faults, settledMs: number): void {
  const accepted = ends.filter(({ state }) => state !== undefined)
  const waits = accepted.map(
    ({ submission, state }) => (state!.finishedAtMs ?? Infinity) - submission.atMs,
  )
  const errors = accepted.flatMap(({ state }) => state!.error?.code ?? [])
  say(`${ends.length} jobs: ${tally(ends.map(({ submission }) => submission.answer))}`)
  say(`shapes: ${tally(ends.map(({ submission }) => submission.shape))}`)
  say(`ends: ${tally(accepted.map(({ state }) => state!.status))}; failures: ${tally(errors)}`)
  const pictures = ends.flatMap(({ pixels }) => pixels ?? [])
  say(`${new Set(pictures).size} different pictures`)
  const attempts = accepted.flatMap(({ state }) => state!.attempts)
  say(`attempts at stages: ${tally(attempts.map(({ status }) => status))}`)
  say(`${faults.inflicted.length} faults: ${tally(faults.inflicted.map(({ kind }) => kind))}`)
  if (faults.impossible.length > 0) say(`not possible here: ${faults.impossible.join(', ')}`)
  say(`longest from submission to end: ${(Math.max(0, ...waits) / 1000).toFixed(1)} s`)
  say(`everything had ended ${(settledMs / 1000).toFixed(1)} s after the last fault`)
  for (const { submission } of ends) {
    if (submission.refusal !== undefined)
      say(`  refused by ${submission.machine.name}: ${submission.refusal.slice(0, 300)}`)
  }
  for (const end of accepted.filter(({ state }) => state!.status === 'failed')) {
    say(`  failed: ${storyOf(end, faults.inflicted)}`)
  }
}

async function run(root: string, machines: Machine[]): Promise<string[]> {
  machines.push(...(await startMesh(root)))
  const before = await Promise.all(machines.map(restOf))
  say(`${count} machines are a mesh after ${elapsed()}`)
  const { traffic, faults } = await unleash(machines)
  const settledMs = await settle(machines, traffic)
  const ends = await readEnds(machines, traffic.submissions)
  summary(ends, faults, settledMs)

  const problems = [...faults.problems]
  for (const end of ends) {
    const wrong = complaint(end, faults.inflicted)
    if (wrong !== undefined) problems.push(`${wrong}\n    ${storyOf(end, faults.inflicted)}`)
  }
  for (const [index, machine] of machines.entries()) {
    problems.push(...(await leaksAtRest(machine, before[index]!)))
    problems.push(...machine.crashes.map((words) => `${machine.name} ended by itself: ${words}`))
    await machine.stop().catch((error) => problems.push(String(error)))
    for (const pid of machine.seenPids) {
      if (await isAlive(pid)) problems.push(`process ${pid} of ${machine.name} is still there`)
    }
  }
  problems.push(...(await wrongPictures(root, ends)))
  return problems
}

const root = mkdtempSync(join(tmpdir(), 'comfymesh-chaos-'))
// Agents notice by themselves that nobody is there any more.
process.once('SIGINT', () => {
  rmSync(root, { recursive: true, force: true })
  process.exit(130)
})
const machines: Machine[] = []
say(`${count} machines, ${minutes} min, seed ${seed}`)
const problems = await run(root, machines).catch((error) => [`the chaos itself: ${error.stack}`])
for (const problem of problems) say(`✗ ${problem}`)
const logs = join(root, 'logs')
mkdirSync(logs)
for (const machine of machines) {
  machine.writeLog(logs)
  await machine.kill()
}
if (problems.length === 0) rmSync(root, { recursive: true, force: true })
say(
  problems.length === 0
    ? `clean after ${elapsed()}`
    : `${problems.length} problems with seed ${seed}; logs are in ${logs}`,
)
process.exit(problems.length === 0 ? 0 : 1)
