/**
 * What can happen to values between machines: who makes them lies or cannot, the link is slow or
 * breaks while they are on their way, the disk that they belong on is full.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import {
  attemptsAt,
  bigPicture,
  drawing,
  sampledBy,
  samples,
  startFleet,
  wholeOn,
} from './fleet.ts'
import { networkTestsLack, until } from './namespaces.ts'

t.setTimeout(300_000)
const skip = networkTestsLack()
if (skip) t.comment(`NOT TESTED, faults of values between machines: ${skip}`)

const liar = [
  '--import=tsx',
  '--conditions=@comfymesh/source',
  fileURLToPath(new URL('lying-agent.ts', import.meta.url)),
]

const SIDE = 1024
/** Of a picture of that side, in 32 bits for each colour. */
const VALUE_BYTES = SIDE * SIDE * 3 * 4
const SLOW = 20_000_000

t.test('values', { skip }, async (t) => {
  const fleet = await startFleet(t, { dora: { program: liar, diskBytes: 4 * 2 ** 20 } })
  const { machines, agents } = fleet

  /** A big value that bert made is on its slow way to anna. */
  async function onItsWay(): Promise<{ id: string; pixels: string }> {
    await fleet.settle()
    machines.bert.throttle(SLOW)
    const affinity = { big: 'bert', small: 'anna', save: 'anna' }
    const folder = join(agents.anna.dataDir, 'blobs', 'partial')
    const before = readdirSync(folder)
    const { prompt, pixels } = bigPicture(SIDE)
    const id = await fleet.submit(prompt, { affinity })
    const isNew = (file: string) => !before.includes(file)
    await until('a part has come', async () => readdirSync(folder).some(isNew))
    return { id, pixels }
  }

  const makers = (state: JobState) =>
    attemptsAt('big', state).map(({ peerId, status }) => `${fleet.nameOf(peerId)} ${status}`)

  await t.test('a slow link that loses packets', async (t) => {
    const { id, pixels } = await onItsWay()
    const state = await fleet.ended(id)
    machines.bert.throttle(undefined)
    t.equal(await fleet.pixels(state), pixels)
    t.strictSame(makers(state), ['bert finished'])
    t.ok(state.transferBytes >= VALUE_BYTES)
  })

  await t.test('a slow link that is out for a moment', async (t) => {
    const { id, pixels } = await onItsWay()
    machines.bert.pullCable()
    await sleep(2000)
    machines.bert.plugIn()
    const state = await fleet.ended(id)
    machines.bert.throttle(undefined)
    t.equal(await fleet.pixels(state), pixels)
    t.strictSame(makers(state), ['bert finished'], 'it is not made again')
    t.equal(attemptsAt('small', state).length, 1)
  })

  await t.test('a slow link that breaks', async (t) => {
    const { id, pixels } = await onItsWay()
    machines.bert.pullCable()
    const state = await fleet.ended(id)
    machines.bert.plugIn()
    machines.bert.throttle(undefined)
    t.equal(await fleet.pixels(state), pixels)
    t.equal(makers(state).length, 2, 'it is made again elsewhere')
    const [blamed] = state.attempts.filter(({ status }) => status === 'failed')
    t.equal(fleet.nameOf(blamed!.blamedPeerId!), 'bert')
    t.equal(blamed!.error!.code, 'peer_unreachable')
  })

  await t.test('the maker freezes while its value is fetched', async (t) => {
    const { id, pixels } = await onItsWay()
    agents.bert.freeze()
    machines.bert.throttle(undefined)
    const state = await fleet.ended(id)
    agents.bert.thaw()
    t.equal(await fleet.pixels(state), pixels)
    t.equal(makers(state).length, 2, 'it is made again elsewhere')
  })

  await t.test('the maker is killed while its value is fetched', async (t) => {
    const { id, pixels } = await onItsWay()
    await agents.bert.kill()
    machines.bert.throttle(undefined)
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), pixels)
    t.equal(makers(state).length, 2, 'it is made again elsewhere')
    await fleet.restart('bert')
  })

  await t.test('who fetches is killed meanwhile', async (t) => {
    const { id, pixels } = await onItsWay()
    await agents.anna.kill()
    machines.bert.throttle(undefined)
    await fleet.restart('anna')
    const state = await fleet.ended(id)
    t.equal(await fleet.pixels(state), pixels)
    t.strictSame(makers(state), ['bert finished'], 'it is not made again')
  })

  /** Fills dora's disk. @returns makes room again. */
  function fill(): () => void {
    const path = join(agents.dora.dataDir, 'blobs', 'fill')
    try {
      writeFileSync(path, Buffer.alloc(8 * 2 ** 20))
    } catch (error) {
      t.match(error, { code: 'ENOSPC' })
    }
    return () => rmSync(path)
  }

  async function aloneOnCarl(steps: number): Promise<string> {
    return fleet.pixels(await fleet.ended(await fleet.submit(drawing(steps), wholeOn('carl'))))
  }

  for (const [when, steps] of [
    ['before its inputs come', 2],
    ['while it samples', 60],
  ] as const) {
    await t.test(`the disk of the worker is full ${when}`, async (t) => {
      await fleet.settle()
      const isBefore = when === 'before its inputs come'
      const early = isBefore ? fill() : undefined
      const id = await fleet.submit(drawing(steps), sampledBy('dora'))
      if (!isBefore) await fleet.reach(id, 'it samples', samples)
      const makeRoom = early ?? fill()
      const state = await fleet.ended(id)
      makeRoom()
      const [first, second] = attemptsAt('sampler', state)
      t.match(first, { status: 'failed', error: { code: 'storage_failed' } })
      t.equal(fleet.nameOf(first!.blamedPeerId!), 'dora')
      t.not(fleet.nameOf(second!.peerId), 'dora')
      t.equal(await fleet.pixels(state), await aloneOnCarl(steps))
    })
  }

  await t.test('the clock of the worker is a day ahead', async (t) => {
    await fleet.settle()
    const steps = 2
    const state = await fleet.ended(await fleet.submit(drawing(steps), sampledBy('dora', 'none')))
    t.strictSame(
      attemptsAt('sampler', state).map(({ status }) => status),
      ['finished'],
    )
    const told = state.nodes.flatMap(({ startedAtMs = 0 }) => startedAtMs)
    t.ok(
      told.every((atMs) => atMs <= Date.now()),
      'by the clock of who tells it',
    )
    t.equal(await fleet.pixels(state), await aloneOnCarl(steps))
  })

  const lies = [
    ['other bytes', 'corrupt_value'],
    ['no value', 'corrupt_value'],
    ['other shape', 'corrupt_value'],
    ['other node', 'corrupt_value'],
    ['out of memory', 'out_of_memory'],
  ] as const
  for (const [index, [lie, code]] of lies.entries()) {
    await t.test(`what the worker says of its stage: ${lie}`, async (t) => {
      await fleet.settle()
      // A value that nobody has yet: it would not be fetched otherwise.
      const steps = 3 + index
      const path = join(agents.dora.dataDir, 'lie')
      writeFileSync(path, lie)
      const state = await fleet.ended(await fleet.submit(drawing(steps), sampledBy('dora')))
      rmSync(path)
      const [blamed, ...more] = state.attempts.filter(({ status }) => status === 'failed')
      t.equal(fleet.nameOf(blamed!.blamedPeerId!), 'dora')
      t.equal(blamed!.error!.code, code)
      t.strictSame(more, [])
      t.not(fleet.nameOf(attemptsAt('sampler', state).at(-1)!.peerId), 'dora')
      t.equal(await fleet.pixels(state), await aloneOnCarl(steps))
    })
  }
})
