import { MeshError } from '@comfymesh/protocol/errors'
import type { ValueReference } from '@comfymesh/protocol/value'
import t from 'tap'
import { createFaults } from '../../src/execution/faults.ts'

const value = (hash: string, ...holders: string[]): ValueReference => ({
  nodeId: '1',
  slot: 0,
  type: 'LATENT',
  tensors: [],
  blob: { hash, sizeBytes: 1 },
  holders,
})

const error = (code: 'value_lost' | 'peer_unreachable' | 'corrupt_value', details = {}) =>
  new MeshError(code, 'something happened', { details })

t.test('a value that is gone everywhere is nobody’s fault, twice', async (t) => {
  const faults = createFaults()
  const inputs = [value('h', 'maker', 'user')]
  const lost = () =>
    faults.add({ peerId: 'other', error: error('value_lost', { hash: 'h' }), inputs })
  for (let times = 1; times <= 2; times++) {
    t.equal(lost(), 'maker')
    t.notOk(faults.isHolder('maker', 'h'))
    t.notOk(faults.isHolder('user', 'h'))
    t.equal(faults.failed().size, 0)
    faults.made(inputs)
    t.ok(faults.isHolder('maker', 'h'), 'made again, it is there again')
  }
  lost()
  t.same([...faults.failed().keys()], ['maker'], 'who never keeps it is not asked for ever')
})

t.test('a holder that was cut off holds what it made again', async (t) => {
  const faults = createFaults()
  const inputs = [value('h', 'maker')]
  const cut = error('peer_unreachable', { peerId: 'maker', hash: 'h' })
  t.equal(faults.add({ peerId: 'user', error: cut, inputs }), 'maker')
  t.notOk(faults.isHolder('maker', 'h'))
  faults.made(inputs)
  t.ok(faults.isHolder('maker', 'h'))
})

t.test('failures of before a restart count', async (t) => {
  const attempt = {
    ...{ attemptId: '1', stageId: 's', peerId: 'p', status: 'failed', sentAtMs: 1 },
    ...{ error: error('peer_unreachable').toReport(), blamedPeerId: 'p' },
  } as never
  t.same([...createFaults([attempt]).failed().keys()], ['p'])
  t.same([...createFaults([attempt, attempt]).barred().keys()], ['p'])
})
