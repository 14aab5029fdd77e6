/** Peers called by name and id. */
import { displayNames, peersCalled } from '@comfymesh/protocol/ids'
import t from 'tap'

const desk = { peerId: '12D3KooWdeskAAAAAA', name: 'desk' }
const studio = { peerId: '12D3KooWstudBBBBBB', name: 'studio' }
const otherStudio = { peerId: '12D3KooWothrCCCCCC', name: 'Studio' }
const peers = [desk, studio, otherStudio]

t.test('names are unique, those that are so already stay as they are', async (t) => {
  t.strictSame(
    [...displayNames(peers).values()],
    ['desk', 'studio-BBBBBB', 'Studio-CCCCCC'],
    'case alone tells nobody apart',
  )
})

t.test('a peer is found by each of its names', async (t) => {
  t.strictSame(peersCalled(peers, 'DESK'), [desk])
  t.strictSame(peersCalled(peers, desk.peerId), [desk])
  t.strictSame(peersCalled(peers, 'studio-bbbbbb'), [studio])
  t.strictSame(peersCalled(peers, 'BBBBBB'), [studio], 'the end of an id')
  t.strictSame(peersCalled(peers, 'studio'), [studio, otherStudio], 'several')
  t.strictSame(peersCalled(peers, 'B'), [], 'too short an end could be anybody')
  t.strictSame(peersCalled(peers, 'nobody'), [])
})
