/** Agents on a network: joining by one line, finding each other again, noticing who is gone. */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { runBuilt } from '../built-agent.ts'
import { allSeeEachOther, createNetwork, makeMesh, networkTestsLack, until } from './namespaces.ts'
import { shippedCheckpoint, textToImage } from './prompts.ts'

t.setTimeout(300_000)
const skip = networkTestsLack()
if (skip) t.comment(`NOT TESTED, agents on several machines: ${skip}`)

t.test('one line makes a member, and members find each other', { skip }, async (t) => {
  t.testdir()
  const [a, b, c] = createNetwork(t, 3).machines
  const [anna, bert] = await Promise.all([a!.start('anna'), b!.start('bert')])
  t.strictSame(await anna.connected(), [], 'agents of different meshes have nothing to do')

  const invite = await anna.command('invite', '--uses', '2', '--json')
  t.equal(invite.stderr, '')
  const { line } = JSON.parse(invite.stdout)
  const joined = await bert.command('join', line)
  t.match(joined, { code: 0, stdout: /^Joined the mesh of anna: 1 other machine\./ })
  await allSeeEachOther(anna, bert)

  const before = await runBuilt(
    ['join', line, '--data-dir', join(t.testdirName, 'carl'), '--name', 'carl', '--port', '1'],
    {},
    c!.within,
  )
  t.match(before, { code: 0, stdout: /2 other machines\.\nNow: comfymesh start/ })
  const carl = await c!.start('carl')
  await allSeeEachOther(anna, bert, carl)

  const again = await bert.command('join', line)
  t.match(again, { code: 1, stderr: /is a member of that mesh already/ })
  const text = await anna.command('peers')
  t.match(text.stdout, /● anna {2}this machine/)
  t.match(text.stdout, new RegExp(`● bert {2}${b!.address}`))
})

t.test('members find each other after restarts and with new addresses', { skip }, async (t) => {
  t.testdir()
  const network = createNetwork(t, 2)
  const [a, b] = network.machines
  const [anna, bert] = await Promise.all([a!.start('anna'), b!.start('bert')])
  await makeMesh(anna, bert)

  await bert.kill()
  await until('anna sees that bert is gone', async () => (await anna.connected()).length === 0)
  t.match((await anna.peers()).peers[1], { name: 'bert', state: 'away' })
  b!.move(network.address(77))
  const restarted = await b!.start('bert')
  await allSeeEachOther(anna, restarted)
  await until('anna knows the new address', async () => {
    return (await anna.peers()).peers[1]!.host === network.address(77)
  })
})

t.test('an address that is named is enough where multicast does not reach', { skip }, async (t) => {
  t.testdir()
  const [a, b] = createNetwork(t, 2).machines
  const quiet = ['--discovery', 'off']
  const anna = await a!.start('anna', { argv: quiet })
  const bert = await b!.start('bert', { argv: quiet })
  await makeMesh(anna, bert)
  await anna.stop()
  await bert.stop()

  const annaAgain = await a!.start('anna', { argv: quiet })
  const argv = [...quiet, '--peer', a!.address]
  const bertAgain = await b!.start('bert', { argv })
  await allSeeEachOther(annaAgain, bertAgain)

  await bertAgain.stop()
  t.match(await annaAgain.command('mesh', 'rotate'), { stdout: /Away.*bert/ })
  const followed = await b!.start('bert', { argv })
  await allSeeEachOther(annaAgain, followed)
})

t.test('who vanishes is known to be gone, who returns to be back', { skip }, async (t) => {
  t.testdir()
  const [a, b, c] = createNetwork(t, 3).machines
  const [anna, bert, carl] = await Promise.all([
    a!.start('anna'),
    b!.start('bert'),
    c!.start('carl'),
  ])
  await makeMesh(anna, bert, carl)
  const isGone = (name: string) => async () => !(await anna.connected()).includes(name)
  const isBack = (name: string) => async () => (await anna.connected()).includes(name)
  const measured: string[] = []
  const waitFor = async (what: string, holds: () => Promise<boolean>) => {
    measured.push(`${what} after ${Math.round(await until(what, holds))} ms`)
  }

  bert.freeze()
  await waitFor('a frozen process is gone', isGone('bert'))
  bert.thaw()
  await waitFor('a thawed process is back', isBack('bert'))

  c!.pullCable()
  await waitFor('a machine without its cable is gone', isGone('carl'))
  c!.plugIn()
  await waitFor('a machine with its cable is back', isBack('carl'))

  await bert.kill()
  await waitFor('a killed process is gone', isGone('bert'))
  await until('the others stay', async () => (await anna.connected()).join() === 'carl')
  for (const line of measured) t.comment(line)
})

t.test(
  'a removed machine is out, the others follow, also those that were away',
  { skip },
  async (t) => {
    t.testdir()
    const [a, b, c, d] = createNetwork(t, 4).machines
    const anna = await a!.start('anna')
    const bert = await b!.start('bert')
    const carl = await c!.start('carl')
    const dora = await d!.start('dora')
    await makeMesh(anna, bert, carl, dora)
    await dora.kill()
    await until('dora is gone', async () => (await anna.connected()).length === 2)

    const removed = await bert.command('peers', 'remove', 'carl')
    t.match(removed, { code: 0, stdout: /carl is removed\.\nFollowed: anna\.\nAway.*dora/ })
    await allSeeEachOther(anna, bert)
    await until('carl is alone and knows it', async () => (await carl.peers()).peers.length === 1)
    t.match(carl.stderr(), /was removed from its mesh/)

    const back = await d!.start('dora')
    await allSeeEachOther(anna, bert, back)
    t.match(back.stderr(), /followed/)
    t.match(await bert.command('peers', 'remove', 'nobody'), {
      code: 1,
      stderr: /There is no peer/,
    })

    const { line } = await anna.ask('POST', 'invites')
    await carl.ask('POST', 'join', { invite: line! })
    await allSeeEachOther(anna, bert, carl, back)
  },
)

t.test('a copied data folder is noticed by the younger of the two', { skip }, async (t) => {
  t.testdir()
  const [a, b, c] = createNetwork(t, 3).machines
  const [anna, bert] = await Promise.all([a!.start('anna'), b!.start('bert')])
  await makeMesh(anna, bert)
  const [original, copy] = ['bert', 'copy'].map((name) => join(t.testdirName, name)) as [
    string,
    string,
  ]
  cpSync(join(original, 'mesh'), join(copy, 'mesh'), { recursive: true })

  const twin = await c!.start('twin', { dataDir: copy })
  await until('the twin has noticed', async () => (await twin.peers()).problem !== undefined)
  const { problem } = await twin.peers()
  t.equal(problem!.code, 'duplicate_identity')
  t.match(problem!.message, b!.address, 'it names the other')
  t.match(await twin.command('peers'), { code: 1, stdout: /mesh new-identity/ })
  t.strictSame(await anna.connected(), ['bert'], 'the older one stays')

  await twin.stop()
  t.match(await twin.command('mesh', 'new-identity'), { code: 0 })
  const own = await c!.start('twin', { dataDir: copy })
  await allSeeEachOther(anna, bert, own)
})

t.test('the planner sees what all machines have', { skip }, async (t) => {
  const folder = t.testdir({ models: { checkpoints: {} } })
  const [a, b] = createNetwork(t, 2).machines
  writeFileSync(join(folder, 'models', 'checkpoints', 'theirs.safetensors'), shippedCheckpoint())
  const [anna, bert] = await Promise.all([
    a!.start('anna'),
    b!.start('bert', { argv: ['--models', join(folder, 'models')] }),
  ])
  await makeMesh(anna, bert)

  const workflow = join(folder, 'theirs.json')
  writeFileSync(workflow, JSON.stringify(textToImage({ checkpoint: 'theirs.safetensors' })))
  const planOf = async (agent: typeof anna) => {
    const { code, stdout } = await agent.command('plan', workflow, '--json')
    return code === 0 ? (JSON.parse(stdout) as { plan: Plan }).plan : undefined
  }
  await until("anna's planner knows bert's models", async () => (await planOf(anna)) !== undefined)
  const { placements } = (await planOf(anna))!
  t.match(placements, [
    {
      peerName: 'bert',
      reason: 'the only peer that can',
      rejected: [{ peerName: 'anna', reason: 'lacks model theirs.safetensors' }],
    },
  ])

  await anna.stop()
  const annaAgain = await a!.start('anna')
  t.ok(await planOf(annaAgain), 'an agent that has just started waits for the others')

  await bert.stop()
  await until('anna misses bert', async () => (await planOf(annaAgain)) === undefined)
  const without = await annaAgain.command('plan', workflow)
  t.match(without.stderr, /theirs\.safetensors/, 'a choice that nobody offers any more')
})
