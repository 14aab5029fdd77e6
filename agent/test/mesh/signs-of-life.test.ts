/** Who lives, and how far away they are. */
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { Line } from '../../src/mesh/lines.ts'
import { createSignsOfLife } from '../../src/mesh/signs-of-life.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A line to a peer that answers as the test says. */
function lineTo(peerId: string) {
  const answers: (() => void)[] = []
  const line = {
    pings: 0,
    aborted: undefined as Error | undefined,
    heard: () => {},
    end: () => {},
    /** The peer answers, which is also heard. */
    async answer() {
      line.heard()
      answers.shift()!()
      await settled()
    },
    line: {
      peerId,
      ping() {
        line.pings++
        return new Promise<void>((resolve) => answers.push(resolve))
      },
      abort(error) {
        line.aborted = error
        line.end()
      },
      onHeard(listener) {
        line.heard = listener
      },
      onEnd(listener) {
        line.end = listener
      },
    } satisfies Line,
  }
  return line
}

/** Seconds pass as the test says. */
function signsOfLife(t: Test) {
  mock.timers.enable({ apis: ['setInterval'] })
  let nowMs = 0
  const signs = createSignsOfLife({ now: () => nowMs })
  signs.start()
  t.teardown(() => {
    signs.stop()
    mock.timers.reset()
  })
  const pass = (seconds: number) => {
    for (let i = 0; i < 2 * seconds; i++) {
      nowMs += 500
      mock.timers.tick(500)
    }
  }
  return { ...signs, pass, later: (ms: number) => (nowMs += ms) }
}

t.test('a silent peer is asked, and ended when it does not answer', async (t) => {
  const { watch, pass } = signsOfLife(t)
  const peer = lineTo('p')
  watch(peer.line)
  t.equal(peer.pings, 1, 'how far away it is, is asked at once')
  await peer.answer()
  pass(2)
  t.equal(peer.pings, 1)
  pass(0.5)
  t.equal(peer.pings, 2)
  await peer.answer()
  pass(4.5)
  t.equal(peer.pings, 3, 'one question at a time')
  t.equal(peer.aborted, undefined)
  pass(0.5)
  t.match(peer.aborted, { message: 'nothing was heard for 5 s' })
  pass(10)
  t.equal(peer.pings, 3, 'that was all')
})

t.test('whoever is heard is asked only how far away it is, and seldom', async (t) => {
  const { watch, pass } = signsOfLife(t)
  const peer = lineTo('p')
  watch(peer.line)
  for (const asked of [1, 2, 3]) {
    t.equal(peer.pings, asked)
    await peer.answer()
    pass(1)
    peer.heard()
    pass(1.5)
  }
  for (let second = 0; second < 57; second++) {
    peer.heard()
    pass(1)
  }
  t.equal(peer.pings, 3)
  pass(1)
  t.equal(peer.pings, 4)
})

t.test('a round trip is the least of the last answers of each line', async (t) => {
  const { watch, pass, later, roundTrips } = signsOfLife(t)
  const [near, far] = [lineTo('near'), lineTo('far')]
  watch(near.line)
  watch(far.line)
  t.strictSame([...roundTrips()], [], 'nobody has answered')
  later(4)
  await near.answer()
  later(36)
  await far.answer()
  t.strictSame(Object.fromEntries(roundTrips()), { near: 4, far: 40 })
  pass(2.5)
  later(2)
  await near.answer()
  await far.answer()
  t.strictSame(Object.fromEntries(roundTrips()), { near: 2, far: 2 })
  const again = lineTo('near')
  near.end()
  watch(again.line)
  later(8)
  await again.answer()
  t.equal(roundTrips().get('near'), 8, 'over a new connection it is another')
})
