/** Streams that are there before somebody asks for them. */
import '../../src/mesh/polyfill.ts'
import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import t from 'tap'
import type { Streams } from '../../src/mesh/rpc.ts'
import { withSpareStreams } from '../../src/mesh/spare-streams.ts'

const KEPT = '/comfymesh/kept/1'
const OTHER = '/comfymesh/other/1'
const soon = () => AbortSignal.timeout(10_000)

interface Opened {
  readonly to: string
  readonly stream: Stream
  readonly far: Stream
}

/** @param keptMs as withSpareStreams */
function spares(keptMs?: number) {
  const opened: Opened[] = []
  let gate: Promise<void> = Promise.resolve()
  let isThere = true
  let onOpened = () => {}
  let onMissed = () => {}
  const streams: Streams = {
    async open(peerId, protocolId) {
      if (!isThere) {
        onMissed()
        throw new Error('nobody is there')
      }
      const [stream, far] = await streamPair()
      opened.push({ to: `${peerId} ${protocolId}`, stream, far })
      onOpened()
      await gate
      return stream
    },
    accept: async () => {},
  }
  return {
    streams: withSpareStreams(streams, new Set([KEPT]), keptMs),
    opened,
    /** @returns when somebody has tried to reach it since. */
    leave(): Promise<void> {
      isThere = false
      return new Promise((resolve) => {
        onMissed = resolve
      })
    },
    /** What is opened from now on takes its time. @returns ends that. */
    holdBack() {
      let release = () => {}
      gate = new Promise((resolve) => {
        release = resolve
      })
      return release
    },
    async openedBy(count: number) {
      while (opened.length < count)
        await new Promise<void>((resolve) => {
          onOpened = resolve
        })
      // Whoever opened it has it then.
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

const end = ({ stream }: Opened) => stream.abort(new Error('done'))

const closed = (stream: Stream) =>
  new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()))

t.test('when a stream has ended the next one is there', async (t) => {
  const { streams, opened, openedBy } = spares()
  await streams.open('p', KEPT, soon())
  t.equal(opened.length, 1, 'not before one has ended')
  end(opened[0]!)
  await openedBy(2)
  const second = await streams.open('p', KEPT, soon())
  t.equal(second, opened[1]!.stream)
  const another = await streams.open('p', KEPT, soon())
  t.equal(another, opened[2]!.stream, 'two at once are two')
  end(opened[1]!)
  end(opened[2]!)
  await openedBy(4)
  await streams.open('q', KEPT, soon())
  t.strictSame(
    opened.map(({ to }) => to),
    [...Array(4).fill(`p ${KEPT}`), `q ${KEPT}`],
    'one is enough, and each peer has its own',
  )
})

t.test('nobody waits for one that is on its way', async (t) => {
  const { streams, opened, openedBy, holdBack } = spares()
  await streams.open('p', KEPT, soon())
  const release = holdBack()
  end(opened[0]!)
  await openedBy(2)
  const next = streams.open('p', KEPT, soon())
  await openedBy(3)
  release()
  t.equal(await next, opened[2]!.stream)
  t.equal(await streams.open('p', KEPT, soon()), opened[1]!.stream, 'it is for the one after')
})

t.test('other protocols have none', async (t) => {
  const { streams, opened, openedBy } = spares()
  await streams.open('p', OTHER, soon())
  end(opened[0]!)
  await streams.open('p', KEPT, soon())
  end(opened[1]!)
  await openedBy(3)
  t.strictSame(
    opened.map(({ to }) => to),
    [`p ${OTHER}`, `p ${KEPT}`, `p ${KEPT}`],
  )
})

t.test('one that the peer has closed is not handed out', async (t) => {
  const { streams, opened, openedBy } = spares()
  await streams.open('p', KEPT, soon())
  end(opened[0]!)
  await openedBy(2)
  const ended = closed(opened[1]!.stream)
  opened[1]!.far.abort(new Error('no request came'))
  await ended
  t.equal(await streams.open('p', KEPT, soon()), opened[2]!.stream)
})

t.test('one that nobody takes is closed, and no other one is opened', async (t) => {
  const { streams, opened, openedBy } = spares(50)
  await streams.open('p', KEPT, soon())
  end(opened[0]!)
  await openedBy(2)
  const spare = opened[1]!.stream
  // The spare's own clock keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  if (spare.status === 'open') await closed(spare)
  clearInterval(alive)
  t.equal(await streams.open('p', KEPT, soon()), opened[2]!.stream)
})

t.test('where none can be opened, whoever asks hears why', async (t) => {
  const { streams, opened, leave } = spares()
  await streams.open('p', KEPT, soon())
  const tried = leave()
  end(opened[0]!)
  await tried
  await t.rejects(streams.open('p', KEPT, soon()), { message: 'nobody is there' })
})
