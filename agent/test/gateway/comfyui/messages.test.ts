/** What ComfyUI's clients are told of a job whose nodes run on several machines, and are lost there. */
import { foldJob, type JobEvent, type JobState } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import { type Message, messagesFor } from '../../../src/gateway/comfyui/messages.ts'

type WithoutStamp<T> = T extends JobEvent ? Omit<T, 'jobId' | 'atMs'> : never
type Change = WithoutStamp<JobEvent>

const request = {
  id: 'j',
  number: 1,
  prompt: {
    a: { class_type: 'EmptyImage', inputs: {} },
    b: { class_type: 'EmptyImage', inputs: {} },
    c: { class_type: 'SaveImage', inputs: { images: ['a', 0] } },
  },
  extraData: {},
  outputs: ['c'],
  createdAtMs: 1,
}

function planOn(peers: { readonly [node: string]: string }): Plan {
  const ids = Object.keys(peers)
  const stages = ids.map((id, index) => ({
    id: `stage ${id}`,
    index,
    nodes: [{ id, classType: 'EmptyImage', inputs: {}, signature: id }],
    after: [],
    outputs: [],
  }))
  const placements = ids.map((id) => ({ stageId: `stage ${id}`, peerId: peers[id]! }))
  return { stages, placements, edges: [] } as unknown as Plan
}

const lost = { code: 'peer_unreachable', message: 'It is gone.', details: {} } as const
const failed = { stageId: 'stage a', peerId: 'tower', attemptId: '1', blamedPeerId: 'tower' }

/** What a client hears of each event, shortened. */
function heard(...changes: Change[]): string[][] {
  let state: JobState | undefined
  return changes.map((change, index) => {
    const event = { ...change, jobId: 'j', atMs: index } as JobEvent
    state = foldJob(state, event)
    return messagesFor({ event, state }, 1).map(shortened)
  })
}

function shortened(message: Message): string {
  if (message.kind === 'preview') return 'preview'
  const { type, data } = message
  if (type !== 'progress_state') return [type, data.node].filter(Boolean).join(' ')
  const nodes = Object.entries(data.nodes as Record<string, { state: string; value: number }>)
  return nodes.map(([id, { state, value }]) => `${id} ${state} ${value}`).join(', ')
}

t.test('stages that run at once are one stream', (t) => {
  const told = heard(
    { type: 'accepted', request },
    { type: 'started' },
    { type: 'planned', plan: planOn({ a: 'tower', b: 'desk', c: 'desk' }) },
    { type: 'stage-started', stageId: 'stage a', peerId: 'tower', attemptId: '1' },
    { type: 'stage-started', stageId: 'stage b', peerId: 'desk', attemptId: '2' },
    { type: 'node-started', nodeId: 'a', peerId: 'tower' },
    { type: 'node-started', nodeId: 'b', peerId: 'desk' },
    { type: 'node-progress', nodeId: 'a', value: 1, max: 2 },
    { type: 'node-finished', nodeId: 'b', cached: false, elapsedMs: 1 },
    { type: 'node-finished', nodeId: 'a', cached: false, elapsedMs: 1 },
    { type: 'node-started', nodeId: 'c', peerId: 'desk' },
    { type: 'node-finished', nodeId: 'c', cached: false, elapsedMs: 1, output: { images: [] } },
    { type: 'completed' },
  )
  t.strictSame(told, [
    ['status'],
    ['status', 'execution_start'],
    [],
    [],
    [],
    ['a running 0', 'executing a'],
    ['a running 0, b running 0', 'executing b'],
    ['a running 1, b running 0', 'progress a'],
    ['a running 1, b finished 1'],
    ['a finished 2, b finished 1'],
    ['a finished 2, b finished 1, c running 0', 'executing c'],
    ['executed c', 'a finished 2, b finished 1, c finished 1'],
    ['execution_success', 'status', 'executing'],
  ])
  t.end()
})

t.test('a node that was lost with its machine begins anew; what the others did stays', (t) => {
  const told = heard(
    { type: 'accepted', request },
    { type: 'started' },
    { type: 'planned', plan: planOn({ a: 'tower', b: 'desk' }) },
    { type: 'stage-started', stageId: 'stage a', peerId: 'tower', attemptId: '1' },
    { type: 'node-started', nodeId: 'a', peerId: 'tower' },
    { type: 'node-progress', nodeId: 'a', value: 1, max: 2 },
    { type: 'node-started', nodeId: 'b', peerId: 'desk' },
    { type: 'node-finished', nodeId: 'b', cached: false, elapsedMs: 1 },
    { type: 'stage-failed', ...failed, error: lost },
    { type: 'planned', plan: planOn({ a: 'studio' }) },
    { type: 'stage-started', stageId: 'stage a', peerId: 'studio', attemptId: '3' },
    { type: 'node-started', nodeId: 'a', peerId: 'studio' },
    { type: 'node-finished', nodeId: 'a', cached: false, elapsedMs: 1 },
    { type: 'completed' },
  )
  t.strictSame(told.slice(7), [
    ['a running 1, b finished 1'],
    [],
    [],
    [],
    ['b finished 1, a running 0', 'executing a'],
    ['b finished 1, a finished 1'],
    ['execution_success', 'status', 'executing'],
  ])
  t.end()
})
