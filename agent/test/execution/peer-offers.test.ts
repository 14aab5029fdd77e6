/** What the planner is told of the mesh, with a mesh of objects. */
import {
  type Advertisement,
  advertisementSchema,
  type Catalog,
} from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import t, { type Test } from 'tap'
import { createPeerOffers } from '../../src/execution/peer-offers.ts'
import { digestOf } from '../../src/mesh/documents.ts'
import type { PeerOffer } from '../../src/planning/peers.ts'
import { testNodes } from '../planning/meshes.ts'

const self: MeshPeer = { peerId: 'me', name: 'desk', state: 'self' }

/** A mesh whose documents come when the test says so. */
function startOffers(t: Test, own: { catalog?: Catalog } = { catalog: [] }) {
  const documents = new Map<string, JsonValue>()
  const warnings: string[] = []
  const asked: string[] = []
  /** Peers that answer nonsense. */
  const liars = new Set<string>()
  let members: MeshPeer[] = [self]
  let tellChange = () => {}
  let tellSurvey = () => {}
  let gate: Promise<void> = Promise.resolve()
  let nowMs = 0
  const local: PeerOffer = {
    advertisement: advertisementSchema.parse({ peerId: 'me', name: 'desk', version: '1' }),
    definitions: testNodes,
    judgedInputs: () => [],
    ...own,
  }
  const peerOffers = createPeerOffers({
    localPeer: { peerId: 'me', offer: async () => local },
    surveyor: {
      onChange(listener) {
        tellSurvey = listener
        return () => {}
      },
    },
    mesh: {
      peers: () => ({ meshId: 'm', peers: members }),
      onChange(listener) {
        tellChange = listener
        return () => {}
      },
      roundTrips: () => new Map([['a', 7]]),
      documents: async () => ({
        offer: () => '',
        keepOffered: () => {},
        start: async () => {},
        async fetch(peerId, digests) {
          asked.push(peerId)
          await gate
          return new Map(
            digests.map((digest) => {
              if (!documents.has(digest)) throw new MeshError('not_found', 'it was withdrawn')
              return [digest, liars.has(peerId) ? 'nonsense' : documents.get(digest)!]
            }),
          )
        },
      }),
    },
    now: () => nowMs,
    warn: (message) => warnings.push(message),
  })
  t.teardown(() => peerOffers.stop())
  peerOffers.start()
  const offer = (document: JsonValue) => {
    const digest = digestOf(document)
    documents.set(digest, document)
    return digest
  }
  return {
    peerOffers,
    warnings,
    asked,
    liars,
    offer,
    tellSurvey: () => tellSurvey(),
    /** The members besides this one from now on. */
    setMembers(...others: MeshPeer[]) {
      members = [self, ...others]
      tellChange()
    },
    holdBack() {
      let release = () => {}
      gate = new Promise((resolve) => {
        release = resolve
      })
      return release
    },
    pass: (ms: number) => {
      nowMs += ms
    },
    /** Until the offers are as wanted; they change by themselves as documents arrive. */
    async until(fits: (offers: readonly PeerOffer[]) => boolean) {
      for (;;) {
        const offers = await peerOffers.offers()
        if (fits(offers)) return offers
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

const connected = (advertisement: Advertisement): MeshPeer => ({
  peerId: advertisement.peerId,
  name: advertisement.name,
  state: 'connected',
  advertisement,
})

const model = { kind: 'checkpoints', name: 'big.safetensors', id: 'i', sizeBytes: 1 }

type Offer = (document: JsonValue) => string

/** A peer with two node classes and one model. */
function advertise(offer: Offer, peerId: string, more: Partial<Advertisement> = {}) {
  const { KSampler, LoadImage } = testNodes
  const node = (definition: object | undefined, judgedInputs: string[] = []) =>
    offer({ definition, judgedInputs } as unknown as JsonValue)
  const index = { KSampler: node(KSampler), LoadImage: node(LoadImage, ['image']) }
  return advertisementSchema.parse({
    peerId,
    name: peerId,
    version: '1',
    executors: [{ name: 'native', nodesDigest: offer(index) }],
    catalogDigest: offer([model]),
    ...more,
  })
}

const absences = (offers: readonly PeerOffer[]) =>
  Object.fromEntries(offers.map(({ advertisement: { peerId }, absence }) => [peerId, absence]))

t.test('what peers offer appears once it was fetched, and nobody waits for it', async (t) => {
  const { peerOffers, setMembers, holdBack, offer, until } = startOffers(t)
  const release = holdBack()
  setMembers(connected(advertise(offer, 'a')), { peerId: 'b', name: 'b', state: 'away' })
  const early = await peerOffers.offers()
  t.strictSame(absences(early), {
    me: undefined,
    a: 'what it offers is not known yet',
    b: 'away',
  })
  release()
  const [, a] = await until((offers) => offers[1]?.absence === undefined)
  t.strictSame(Object.keys(a!.definitions), ['KSampler', 'LoadImage'])
  t.strictSame(a!.judgedInputs('LoadImage'), ['image'])
  t.strictSame(a!.catalog, [model])
  t.strictSame(peerOffers.links(), [{ peerIds: ['me', 'a'], roundTripMs: 7 }])
  t.equal((await peerOffers.offers())[1], a, 'the same object until something changes')
})

t.test('who lies is given up, and not those who offer the same', async (t) => {
  const { setMembers, offer, liars, until, holdBack } = startOffers(t)
  const release = holdBack()
  liars.add('a')
  setMembers(...['a', 'b', 'c'].map((peerId) => connected(advertise(offer, peerId))))
  release()
  const offers = await until((all) =>
    all.every(({ absence }) => absence !== 'what it offers is not known yet'),
  )
  t.strictSame(absences(offers), {
    me: undefined,
    a: 'what it offers is not understood',
    b: undefined,
    c: undefined,
  })
})

t.test('equal offers are fetched once and are one object', async (t) => {
  const { setMembers, offer, asked, until } = startOffers(t)
  setMembers(connected(advertise(offer, 'a')), connected(advertise(offer, 'b')))
  const [, a, b] = await until((offers) => offers.every(({ absence }) => absence === undefined))
  t.equal(a!.definitions, b!.definitions)
  t.strictSame([...new Set(asked)], ['a'])
})

t.test('what was known counts until what is new has arrived', async (t) => {
  const { peerOffers, setMembers, holdBack, offer, until } = startOffers(t)
  setMembers(connected(advertise(offer, 'a')))
  await until((offers) => offers[1]?.absence === undefined)
  const release = holdBack()
  setMembers(connected(advertise(offer, 'a', { catalogDigest: offer([]) })))
  t.strictSame((await peerOffers.offers())[1]?.catalog, [model])
  release()
  await until((offers) => offers[1]?.catalog?.length === 0)
})

t.test('a peer whose documents make no sense offers nothing and is told of once', async (t) => {
  const { setMembers, offer, warnings, until } = startOffers(t)
  const bad = offer({ definition: { input: { required: { x: 'INT' } }, output: 1 } })
  const executors = [{ name: 'native', nodesDigest: offer({ KSampler: bad }) }]
  setMembers(connected(advertise(offer, 'a', { executors })))
  const [, a] = await until((offers) => offers[1]?.absence === 'what it offers is not understood')
  t.strictSame(a!.definitions, {})
  setMembers(connected(advertise(offer, 'a', { executors, queue: { running: 1, waiting: 0 } })))
  await until((offers) => offers[1]?.advertisement.queue.running === 1)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /peer a cannot be used/)
})

t.test('before this machine knows its own models no other is compared with it', async (t) => {
  const { setMembers, offer, peerOffers } = startOffers(t, {})
  setMembers(connected(advertise(offer, 'a')))
  t.strictSame(absences(await peerOffers.offers()).a, 'what it offers is not known yet')
})

t.test('the wait that a peer advertised passes', async (t) => {
  const { setMembers, offer, pass, until } = startOffers(t)
  const queue = { running: 1, waiting: 0, busyMs: 5000 }
  setMembers(connected(advertise(offer, 'a', { queue })))
  const [, a] = await until((offers) => offers[1]?.absence === undefined)
  t.equal(a!.waitMs, 5000)
  pass(2000)
  await until((offers) => offers[1]?.waitMs === 3000)
  pass(9000)
  await until((offers) => offers[1]?.waitMs === 0)
})

t.test('a member that was removed is no longer among them', async (t) => {
  const { peerOffers, setMembers, offer } = startOffers(t)
  setMembers(connected(advertise(offer, 'a')))
  setMembers()
  t.strictSame(Object.keys(absences(await peerOffers.offers())), ['me'])
})

t.test('a member that is missing is expected for some seconds', async (t) => {
  const { peerOffers, setMembers, offer, pass, until } = startOffers(t)
  await peerOffers.offers()
  t.equal(peerOffers.gathering.expectedMs(), 0, 'there is nobody else')
  setMembers({ peerId: 'a', name: 'a', state: 'away' })
  t.equal(peerOffers.gathering.expectedMs(), 5000)
  pass(5000)
  t.equal(peerOffers.gathering.expectedMs(), 0, 'it does not come')
  setMembers(connected(advertise(offer, 'a')))
  await until((offers) => offers[1]?.absence === undefined)
  setMembers({ peerId: 'a', name: 'a', state: 'away' })
  t.ok(peerOffers.gathering.expectedMs() > 0, 'it was lost a moment ago')
  const { catalogDigest: _, ...early } = advertise(offer, 'a')
  setMembers(connected(early))
  await until((offers) => offers[1]?.absence === undefined)
  t.ok(peerOffers.gathering.expectedMs() > 0, 'it does not know its models yet')
  setMembers(connected(advertise(offer, 'a')))
  await until((offers) => offers[1]?.catalog !== undefined)
  t.equal(peerOffers.gathering.expectedMs(), 0, 'it is back')
})

t.test('while this machine looks at its own models, others are expected', async (t) => {
  const { peerOffers, setMembers, offer, pass } = startOffers(t, {})
  setMembers(connected(advertise(offer, 'a')))
  await peerOffers.offers()
  t.equal(peerOffers.gathering.expectedMs(), 5000)
  pass(5000)
  t.equal(peerOffers.gathering.expectedMs(), 0, 'nobody waits for a slow disk')
})

t.test('whoever waits for members hears of what comes', async (t) => {
  const { peerOffers, setMembers, offer, until, tellSurvey } = startOffers(t)
  let heard: string[] = []
  const end = peerOffers.gathering.onChange(() => {
    heard.push(peerOffers.others().some(({ absence }) => absence === undefined) ? 'offers' : 'news')
  })
  setMembers(connected(advertise(offer, 'a')))
  t.strictSame(heard, ['news'], 'it is here')
  await until((offers) => offers[1]?.absence === undefined)
  t.equal(heard.at(-1), 'offers', 'what it offers is here')
  heard = []
  tellSurvey()
  t.strictSame(heard, ['offers'], 'what this machine has was found out')
  end()
  setMembers()
  t.equal(heard.length, 1)
})
