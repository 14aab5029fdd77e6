/** Who is there: followed from the first word, gone with the last connection. */
import { minimalAdvertisement } from '@comfymesh/protocol/advertisement'
import t from 'tap'
import { createPresence, type PresenceModules } from '../../src/mesh/presence.ts'

for (const isEarly of [false, true]) {
  const when = isEarly ? 'before this agent was ready' : 'later'
  t.test(`a peer that came ${when}, from its first word to its end`, async (t) => {
    const told: string[] = []
    let connect: (connection: never) => void = () => {}
    let isConnected = true
    let say: (text: string | undefined) => void = () => {}
    const heard = async function* () {
      while (isConnected) {
        const name = await new Promise<string | undefined>((resolve) => {
          say = resolve
        })
        if (!isConnected) return
        // Whatever it calls itself, its connection says who it is.
        const advertisement = name && minimalAdvertisement({ peerId: 'liar', name, version: '1' })
        yield advertisement ? { advertisement } : {}
      }
    }
    const presence = createPresence({
      node: {
        connections: () => (isConnected ? [{}] : []),
        onConnection: (listener: typeof connect) => {
          connect = listener
          if (isEarly) listener({ remotePeer: 'p' } as never)
        },
      } as unknown as PresenceModules['node'],
      rpc: { stream: heard } as unknown as PresenceModules['rpc'],
      onArrived: ({ peerId, advertisement }) =>
        told.push(`${peerId} arrived: ${advertisement.name}`),
      onAdvertisement: ({ advertisement }) => told.push(`changed: ${advertisement.name}`),
      onGone: ({ peerId }) => told.push(`${peerId} is gone`),
    })
    t.teardown(() => presence.stop())
    const until = async (fits: () => boolean) => {
      while (!fits()) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    presence.start()
    if (!isEarly) connect({ remotePeer: 'p' } as never)
    t.strictSame(presence.present(), [], 'it has not said anything yet')
    say('desk')
    await until(() => told.length === 1)
    say(undefined)
    await new Promise((resolve) => setImmediate(resolve))
    say('studio')
    await until(() => told.length === 2)
    t.match(presence.present(), [{ peerId: 'p', advertisement: { peerId: 'p', name: 'studio' } }])
    isConnected = false
    say(undefined)
    await until(() => told.length === 3)
    t.strictSame(told, ['p arrived: desk', 'changed: studio', 'p is gone'])
    t.strictSame(presence.present(), [])
    t.equal(presence.lastSaid('p')?.name, 'studio', 'what it said last is remembered')
  })
}
