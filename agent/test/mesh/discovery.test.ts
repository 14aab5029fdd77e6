/** Announcements: heard on the loopback, and never trusted. */
import t from 'tap'
import {
  type Announcement,
  announcementIn,
  createDiscovery,
  type Sighting,
} from '../../src/mesh/discovery.ts'

const said: Announcement = {
  peerId: '12D3KooWCvg2je73hPzATpy7XEKgvqXpAKmbHhSFVKk1XLtV3FRx',
  meshId: '0123456789abcdef',
  epoch: 3,
  fingerprint: 'fedcba9876543210',
  port: 8289,
  doorPort: 8290,
  run: '0a1b2c3d4e5f',
}

t.test('agents of one machine hear each other', async (t) => {
  const loopback = { address: '127.0.0.1', family: 'IPv4', internal: true }
  const heard = new Map<string, Sighting>()
  let isBoth = () => {}
  const both = new Promise<void>((resolve) => {
    isBoth = resolve
  })
  const runs: readonly [string, string] = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb']
  const start = async (name: string, run: string) => {
    const discovery = createDiscovery({
      announcement: () => ({ ...said, run }),
      onSighting: (sighting) => {
        // Other agents of this machine are heard, too.
        if (sighting.run === run || !runs.includes(sighting.run)) return
        heard.set(name, sighting)
        if (heard.size === 2) isBoth()
      },
      warn: (message, error) => t.comment(`${message}: ${error}`),
      interfaces: () => ({ lo: [loopback as never] }),
    })
    await discovery.start()
    t.teardown(() => discovery.stop())
  }
  await start('first', runs[0])
  await start('second', runs[1])
  await both
  t.strictSame(heard.get('first'), { ...said, run: 'bbbbbbbbbbbb', hosts: ['127.0.0.1'] })
  t.match(heard.get('second'), { run: 'aaaaaaaaaaaa' })
})

const name = 'x._comfymesh._tcp.local'
const text = {
  peer: said.peerId,
  mesh: said.meshId,
  epoch: '3',
  key: said.fingerprint,
  door: '8290',
  run: said.run,
}

function records(changes: object, port: unknown = 8289, service = name) {
  const lines = Object.entries({ ...text, ...changes }).map(([key, value]) => `${key}=${value}`)
  return [
    { name: service, type: 'SRV', data: { port } },
    { name: service, type: 'TXT', data: lines.map((line) => Buffer.from(line)) },
  ]
}

t.test('what anybody can send is checked', async (t) => {
  t.strictSame(announcementIn(records({})), said)
  t.strictSame(announcementIn(records({ later: 'a field of a newer release' })), said)
  const nonsense = [
    records({ peer: '../../etc' }),
    records({ peer: 'x'.repeat(500) }),
    records({ mesh: '' }),
    records({ epoch: '-1' }),
    records({ epoch: '1e99' }),
    records({ door: '0' }),
    records({ door: '70000' }),
    records({ run: '' }),
    records({ key: 'zz' }),
    records({}, '8289'),
    records({}, 8289, 'printer._ipp._tcp.local'),
    records({}).slice(0, 1),
    records({}).slice(1),
    [{ name, type: 'TXT', data: 'text' }],
    [],
  ]
  for (const [index, one] of nonsense.entries()) {
    t.equal(announcementIn(one), undefined, `nonsense ${index}`)
  }
})
