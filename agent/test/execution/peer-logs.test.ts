/** The log of another machine, asked over the mesh. */
import t from 'tap'
import { createPeerLogs, servePeerLogs } from '../../src/execution/peer-logs.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { memoryPeers } from '../mesh/memory-streams.ts'

const quiet = { level: 'info', write: () => {} } as const

t.test('each machine tells its own log', async (t) => {
  const { a, b } = memoryPeers(['a', 'b'])
  const [mine, theirs] = [createLog(quiet), createLog(quiet)]
  await servePeerLogs({ log: theirs, mesh: { rpc: async () => b.rpc } })
  const logs = createPeerLogs({ peerId: 'a' }, { log: mine, mesh: { rpc: async () => a.rpc } })
  mine.info('here')
  theirs.warn('there')
  t.match(await logs.read({ limit: 9 }), [{ message: 'here', level: 'info' }])
  t.match(await logs.read({ limit: 9 }, 'a'), [{ message: 'here' }])
  const [line] = await logs.read({ limit: 9 }, 'b')
  t.match(line, { message: 'there', level: 'warn' })
  theirs.info('more')
  t.match(await logs.read({ limit: 9, after: line!.id }, 'b'), [{ message: 'more' }])
  await t.rejects(logs.read({ limit: 9 }, 'c'), { code: 'peer_unreachable' })
})

t.test('without a mesh there is one log', async (t) => {
  const log = createLog(quiet)
  const logs = createPeerLogs({ peerId: 'a' }, { log })
  log.info('here')
  for (const peerId of [undefined, 'a']) t.match(await logs.read({ limit: 9 }, peerId), [{}])
  await t.rejects(logs.read({ limit: 9 }, 'b'), { code: 'mesh_unavailable' })
})
