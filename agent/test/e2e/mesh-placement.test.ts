/** Where the stages of a prompt run on a network of machines, and what travels for it. */
import { type JsonValue, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { request } from '../../src/cli/agent-client.ts'
import { addressOf, attemptsAt, drawing, sampledBy, startFleet } from './fleet.ts'
import { networkTestsLack, until } from './namespaces.ts'

t.setTimeout(300_000)
const skip = networkTestsLack()
if (skip) t.comment(`NOT TESTED, stages on several machines: ${skip}`)

t.test('placement', { skip }, async (t) => {
  const fleet = await startFleet(t)
  await fleet.settle()
  const whole = await fleet.ended(await fleet.submit(drawing(2)))
  const expected = await fleet.pixels(whole)

  await t.test('what one machine can do alone moves no bytes', async (t) => {
    t.equal(whole.stages.length, 1)
    t.equal(fleet.nameOf(whole.stages[0]!.peerId), 'carl', 'the only one that has everything')
    t.equal(whole.transferBytes, 0)
  })

  await t.test('stages on two machines', async (t) => {
    await fleet.settle()
    const state = await fleet.ended(await fleet.submit(drawing(2), sampledBy('bert', 'none')))
    t.equal(await fleet.pixels(state), expected)
    t.ok(state.transferBytes > 0)
    t.strictSame([...new Set(state.stages.map(({ peerId }) => fleet.nameOf(peerId)))].sort(), [
      'anna',
      'bert',
    ])
  })

  await t.test('stages on three machines', async (t) => {
    await fleet.settle()
    const affinity = { CLIPTextEncode: 'anna', KSampler: 'dora', VAEDecode: 'carl' }
    const state = await fleet.ended(await fleet.submit(drawing(2), { affinity, fallback: 'none' }))
    t.equal(await fleet.pixels(state), expected)
    t.ok(state.transferBytes > 0)
    t.strictSame([...new Set(state.stages.map(({ peerId }) => fleet.nameOf(peerId)))].sort(), [
      'anna',
      'carl',
      'dora',
    ])
  })

  await t.test('the machine that is wished for is away', async (t) => {
    await fleet.settle()
    const { anna, bert } = fleet.agents
    await bert.kill()
    const asked = { prompt: drawing(2), extra_data: { comfymesh: sampledBy('bert', 'none') } }
    const body = stringifyJson(asked as unknown as JsonValue)
    await until('anna plans without bert', async () => {
      return !(await request(addressOf(anna), '/v1/plan', { method: 'POST', body })).ok
    })

    const strict = await fleet.ended(await fleet.submit(drawing(2), sampledBy('bert', 'none')))
    t.match(strict, { status: 'failed', error: { code: 'no_peer', message: /bert/ } })

    const lenient = await fleet.ended(await fleet.submit(drawing(2), sampledBy('bert', 'auto')))
    t.equal(await fleet.pixels(lenient), expected)

    const id = await fleet.submit(drawing(2), sampledBy('bert', 'ask'))
    const paused = await fleet.reach(id, 'paused', ({ status }) => status === 'paused')
    t.match(paused.pause!.question, /bert/)
    t.strictSame(paused.attempts, [], 'nothing runs before the answer')
    const told = await anna.command('answer', id.slice(0, 8), '--peer', 'dora')
    t.match(told, { code: 0, stderr: '' })
    const answered = await fleet.ended(id)
    t.equal(await fleet.pixels(answered), expected)
    t.strictSame(
      attemptsAt('sampler', answered).map(({ peerId }) => fleet.nameOf(peerId)),
      ['dora'],
    )
  })
})
