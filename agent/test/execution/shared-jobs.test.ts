/** Jobs over several peers: questions, restarts of the submitter, several at once, everything at random. */
import type { ErrorCode } from '@comfymesh/protocol/errors'
import type { JobState } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import t from 'tap'
import {
  branchedPrompt,
  broken,
  mesh,
  picturePrompt,
  pixels,
  reached,
  split,
  startRunner,
  submit,
  type TestPeer,
  usual,
} from './peers.ts'
import { until } from './stages.ts'

const asking = { comfymesh: { affinity: { 2: 'b' }, fallback: 'ask' } }
const placesOf = (plan: Plan | undefined) =>
  plan?.placements.map(({ stageId, peerId }) => [stageId, peerId])
const isPaused = ({ status }: { status: string }) => status === 'paused'

t.test('a question pauses the job, which waits for its answer over a restart', async (t) => {
  const { jobs, peers, all, dataDir, stop } = await mesh(t)
  peers.b!.isPresent = false
  const id = await submit(jobs, picturePrompt(), asking)
  const paused = await reached(jobs, id, isPaused)
  t.match(paused.pause, {
    question: /b: away.*Run it on a and c instead\?/,
    plan: { unmet: ['2'] },
  })
  t.strictSame(jobs.running(), [])
  t.strictSame(jobs.pending().map(isPaused), [true])
  const other = await reached(jobs, await submit(jobs, picturePrompt(2)))
  t.equal(other.status, 'completed', 'it holds up nobody')
  await stop()
  const again = await startRunner(t, { peers: all, lacks: split, dataDir })
  t.match(again.jobs.pending(), [{ status: 'paused', pause: paused.pause }])
  await again.jobs.answer(id, 'go')
  const state = await reached(again.jobs, id)
  t.equal(state.status, 'completed', JSON.stringify(state.error))
  t.strictSame(
    state.stages.map(({ peerId }) => peerId),
    ['a', 'c', 'a'],
  )
  await t.rejects(again.jobs.answer(id, 'go'), { code: 'not_found' })
})

t.test('a question when a peer fails; other answers', async (t) => {
  const { jobs, peers } = await mesh(t)
  peers.b!.mischief = ({ phase }) =>
    phase === 'began' ? broken('out_of_memory', 'Not enough memory.')() : undefined
  const id = await submit(jobs, picturePrompt(), asking)
  t.match((await reached(jobs, id, isPaused)).pause?.question, /Not enough memory/)
  const shown = await jobs.previewAnswer(id, { peer: 'c' })
  await jobs.answer(id, { peer: 'c' })
  const state = await reached(jobs, id)
  t.strictSame(placesOf(shown), placesOf(state.plan), 'it goes on by the plan that was shown')
  t.match(state, { status: 'completed', options: { affinity: { 2: 'c' }, fallback: 'ask' } })
  const second = await submit(jobs, picturePrompt(3), asking)
  await reached(jobs, second, isPaused)
  await jobs.answer(second, 'cancel')
  t.equal((await reached(jobs, second)).status, 'interrupted')
  const third = await submit(jobs, picturePrompt(4), asking)
  await reached(jobs, third, isPaused)
  await jobs.cancelPending([third])
  t.equal((await reached(jobs, third)).status, 'interrupted')
  t.strictSame(jobs.pending(), [])
})

t.test('after a restart a job joins what runs elsewhere and uses what is made', async (t) => {
  const { jobs, peers, all, dataDir, stop } = await mesh(t)
  const { a, b } = peers as { a: TestPeer; b: TestPeer }
  let open = () => {}
  b.executor.gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const id = await submit(jobs, picturePrompt())
  await reached(jobs, id, ({ attempts }) => attempts[1]?.status === 'computing')
  await stop()
  b.isPresent = false
  const again = await startRunner(t, { peers: all, lacks: split, dataDir })
  await until(() => again.events.some(({ type }) => type === 'started'))
  b.isPresent = true
  open()
  const state = await reached(again.jobs, id)
  t.equal(state.status, 'completed', JSON.stringify(state.error))
  t.strictSame(
    state.attempts.map(({ peerId, status }) => [peerId, status]),
    [
      ['a', 'finished'],
      ['b', 'finished'],
      ['a', 'finished'],
    ],
    'the same attempts',
  )
  t.strictSame(a.executor.ran, ['TN_Pixels', 'TN_Show'], 'nothing ran twice')
  t.strictSame(b.executor.ran, ['TN_Brighten'])
  t.strictSame(pixels(dataDir), [await usual(t)])
})

t.test('with several peers several jobs run, each on a machine of its own', async (t) => {
  const { jobs, all, times } = await mesh(t, ['a', 'b'], {})
  t.equal(jobs.runningLimit, 2)
  const slow = { classType: 'TN_Brighten', model: '', work: 1, elapsedMs: 5000 }
  // Twice: a single slow run makes no light node heavy.
  for (const atMs of [0, 1]) {
    await times.learn(
      all.map(({ name }) => ({ ...slow, peerId: name })),
      atMs,
    )
  }
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  for (const peer of all) peer.executor.gate = gate
  const ids = await Promise.all([1, 2].map((seed) => submit(jobs, picturePrompt(seed))))
  const isComputing = ({ attempts }: JobState) =>
    attempts.some(({ status }) => status === 'computing')
  const running = await Promise.all(ids.map((id) => reached(jobs, id, isComputing)))
  t.strictSame(running.map(({ attempts }) => attempts[0]!.peerId).sort(), ['a', 'b'])
  open()
  for (const id of ids) t.equal((await reached(jobs, id)).status, 'completed')
})

t.test('whatever happens when, jobs end as on one machine', async (t) => {
  const random = randomFrom(7)
  const { jobs, peers, dataDir } = await mesh(t, ['a', 'b', 'c', 'd'], {})
  const codes: ErrorCode[] = ['runner_died', 'out_of_memory', 'storage_failed', 'peer_unreachable']
  for (const peer of Object.values(peers)) {
    peer.mischief = () => {
      if (random() > 0.08) return undefined
      const code = codes[Math.floor(random() * codes.length)]!
      return broken(code, `${peer.name}: ${code}`)()
    }
  }
  const ids = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      submit(jobs, index % 2 === 0 ? picturePrompt() : branchedPrompt(index)),
    ),
  )
  const states = await Promise.all(ids.map((id) => reached(jobs, id)))
  for (const [index, { status, outputs, stages, error }] of states.entries()) {
    if (status === 'failed') t.ok(codes.includes(error!.code), error!.message)
    else if (index % 2 === 1) t.strictSame(outputs[5], { text: [String(index + index)] })
    t.equal(new Set(stages.map(({ stageId }) => stageId)).size, stages.length)
  }
  const completed = states.filter(({ status }) => status === 'completed')
  t.ok(completed.length > 30, `${completed.length} of ${states.length} completed`)
  t.strictSame(new Set(pixels(dataDir)), new Set([await usual(t)]))
  t.strictSame([...jobs.running(), ...jobs.pending()], [])
})

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return state / 2 ** 31
  }
}
