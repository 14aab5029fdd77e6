/** Two machines whose link takes its time and breaks: what is on its way goes on where it was. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { requestJson } from '../../src/cli/agent-client.ts'
import { writeModelParts } from '../../src/cli/demo/model-parts.ts'
import {
  addressOf,
  attemptsAt,
  bigPicture,
  createSubmitter,
  drawing,
  forgetResults,
  sampledBy,
  wholeOn,
} from './fleet.ts'
import { createLaggyLink } from './laggy-link.ts'
import { allSeeEachOther, makeMesh, networkTestsLack, until } from './namespaces.ts'

t.setTimeout(300_000)
const skip = networkTestsLack()
if (skip) t.comment(`NOT TESTED, a link that takes its time: ${skip}`)

const DELAY_MS = 75
const SIDE = 2048
/** Of a picture of that side, in 32 bits for each colour. */
const VALUE_BYTES = SIDE * SIDE * 3 * 4
const MIB = 2 ** 20
/** Slow enough for something to happen on the way. */
const BITS_PER_SECOND = 80_000_000

const ways = { 'by a connection of their own': true, 'by the stream of the mesh': false }
for (const [way, direct] of Object.entries(ways)) {
  t.test(`a link that takes its time and breaks, large values go ${way}`, { skip }, async (t) => {
    t.testdir()
    const link = await createLaggyLink(t, { delayMs: DELAY_MS, direct })
    const [one, other] = link.machines
    const models = (name: string) => join(t.testdirName, name, 'models')
    await writeModelParts(models('anna'), ['text', 'vae'])
    await writeModelParts(models('bert'), ['text', 'unet', 'vae'])
    const [anna, bert] = await Promise.all([
      one.start('anna', { argv: [...link.flags(other), '--models', models('anna')] }),
      other.start('bert', { argv: [...link.flags(one), '--models', models('bert')] }),
    ])
    await makeMesh(anna, bert)
    const jobs = createSubmitter(() => anna)
    const linkTo = async () => (await anna.peers()).peers.find(({ name }) => name === 'bert')?.link

    await t.test('how long the way takes is known', async () => {
      await until('the round trip is measured', async () => {
        return ((await linkTo())?.roundTripMs ?? 0) >= 2 * DELAY_MS
      })
    })

    await t.test('stages on both ends draw the same picture', async (t) => {
      await until('anna knows what bert has', async () =>
        JSON.stringify(await requestJson(addressOf(anna), '/v1/models')).includes('unet'),
      )
      const whole = await jobs.ended(await jobs.submit(drawing(8), wholeOn('bert')))
      await forgetResults([anna, bert])
      const split = await jobs.ended(await jobs.submit(drawing(8), sampledBy('bert', 'none')))
      t.equal(await jobs.pixels(split), await jobs.pixels(whole))
      t.equal(whole.transferBytes, 0)
      t.ok(split.transferBytes > 0)
    })

    await t.test('what is on its way when the link breaks goes on from there', async (t) => {
      other.throttle(BITS_PER_SECOND)
      const { prompt, pixels } = bigPicture(SIDE)
      const affinity = { big: 'bert', small: 'anna', save: 'anna' }
      const id = await jobs.submit(prompt, { affinity, fallback: 'none' })
      const partial = join(anna.dataDir, 'blobs', 'partial')
      const arrivedBytes = () =>
        readdirSync(partial).reduce((sum, file) => sum + statSync(join(partial, file)).size, 0)
      for (const part of [8, 20]) {
        await until(`${part} MiB have come`, async () => arrivedBytes() >= part * MIB)
        await link.cut()
      }
      const state = await jobs.ended(id)
      t.equal(await jobs.pixels(state), pixels)
      t.strictSame(
        attemptsAt('big', state).map(({ status }) => status),
        ['finished'],
        'it is not made again',
      )
      t.ok(state.transferBytes >= VALUE_BYTES)
      t.ok(state.transferBytes < VALUE_BYTES + 16 * MIB, `${state.transferBytes} bytes came`)
      await allSeeEachOther(anna, bert)
    })
  })
}
