/** Documents: fetched once a digest, and never taken for another. */
import t from 'tap'
import { createDocuments, digestOf } from '../../src/mesh/documents.ts'
import { protocols } from '../../src/mesh/protocols.ts'
import { memoryPeers } from './memory-streams.ts'

t.test('what one offers another one gets, and asks for once', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  const theirs = createDocuments({ rpc: b.rpc })
  await theirs.start()
  const mine = createDocuments({ rpc: a.rpc })
  const wanted = Array.from({ length: 250 }, (_, i) => ({ name: `node ${i}`, seed: 2n ** 63n }))
  const digests = wanted.map((document) => theirs.offer(document))
  const got = await mine.fetch('b', digests)
  t.strictSame([...got.values()], wanted)
  const last = a.lastStream()
  await mine.fetch('b', digests.slice(7, 9))
  t.equal(a.lastStream(), last, 'nothing was asked again')

  theirs.keepOffered([digests[0]!])
  const stranger = createDocuments({ rpc: a.rpc })
  await t.rejects(stranger.fetch('b', digests.slice(0, 2)), { code: 'not_found' })
  t.equal((await stranger.fetch('b', digests.slice(0, 1))).size, 1)
})

t.test('a lie is noticed', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  await b.rpc.handle(protocols.documents, async function* ({ digests }) {
    yield { digest: digests[0]!, document: 'something else' }
  })
  const documents = createDocuments({ rpc: a.rpc })
  await t.rejects(documents.fetch('b', [digestOf('the real one')]), { code: 'peer_incompatible' })
})
