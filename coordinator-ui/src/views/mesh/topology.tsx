/** The machines and their links as a picture; where something moves, it moves there too. */
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { jobs } from '../../state/agent.ts'
import { useStore } from '../../state/store.ts'
import { type Traffic, trafficOf } from '../../state/traffic.ts'

interface Spot {
  readonly peer: MeshPeer
  /** In percent of the picture. */
  readonly x: number
  readonly y: number
}

export function Topology({ peers }: { readonly peers: readonly MeshPeer[] }) {
  const all = useStore(jobs)
  const selfId = peers.find(({ state }) => state === 'self')?.peerId ?? ''
  const traffic = trafficOf(all.values(), selfId)
  const spots = spotsOf(peers)
  const present = spots.filter(({ peer }) => peer.state !== 'away')
  const links = present.flatMap((a, index) => present.slice(index + 1).map((b) => ({ a, b })))
  return (
    <figure className="topology">
      <figcaption className="visually-hidden">{describe(peers, traffic)}</figcaption>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {links.map(({ a, b }) => (
          <line
            key={`${a.peer.peerId} ${b.peer.peerId}`}
            x1={a.x}
            y1={a.y}
            x2={b.x}
            y2={b.y}
            vectorEffect="non-scaling-stroke"
          />
        ))}
        {traffic.flatMap(({ from, to }) => {
          const a = spots.find(({ peer }) => peer.peerId === from)
          const b = spots.find(({ peer }) => peer.peerId === to)
          if (a === undefined || b === undefined) return []
          return [
            <line
              key={`${from} ${to}`}
              className="topology-traffic"
              x1={a.x}
              y1={a.y}
              x2={b.x}
              y2={b.y}
              vectorEffect="non-scaling-stroke"
            />,
          ]
        })}
      </svg>
      <div aria-hidden="true">
        {spots.map(({ peer, x, y }) => (
          <div
            key={peer.peerId}
            className="topology-peer"
            data-state={peer.state}
            data-busy={traffic.some(({ to }) => to === peer.peerId)}
            style={{ left: `${x}%`, top: `${y}%` }}
          >
            {peer.name}
          </div>
        ))}
      </div>
    </figure>
  )
}

/** On an ellipse, this machine on its left end; one alone stands in the middle. */
function spotsOf(peers: readonly MeshPeer[]): Spot[] {
  if (peers.length === 1) return [{ peer: peers[0]!, x: 50, y: 50 }]
  const angles = peers.map((_, index) => Math.PI + (2 * Math.PI * index) / peers.length)
  const xs = stretched(angles.map(Math.cos), EDGES.x)
  const ys = stretched(angles.map(Math.sin), EDGES.y)
  return peers.map((peer, index) => ({ peer, x: xs[index]!, y: ys[index]! }))
}

/** Between which percents of the picture machines stand, so that their names have room. */
const EDGES = { x: [18, 82], y: [20, 80] } as const

/** The values spread from edge to edge; equal ones in the middle. */
function stretched(values: readonly number[], [low, high]: readonly [number, number]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const span = most - least
  return values.map((value) =>
    span < 1e-9 ? (low + high) / 2 : low + ((high - low) * (value - least)) / span,
  )
}

function describe(peers: readonly MeshPeer[], traffic: readonly Traffic[]): string {
  const name = (id: string) => peers.find(({ peerId }) => peerId === id)?.name ?? 'a machine'
  const linked = peers.filter(({ state }) => state !== 'away').map((peer) => peer.name)
  const moving = traffic.map(({ from, to }) => `${name(from)} to ${name(to)}`)
  const what = moving.length === 0 ? 'Nothing moves between them.' : `Moving: ${moving.join(', ')}.`
  return `Linked with each other: ${linked.join(', ')}. ${what}`
}
