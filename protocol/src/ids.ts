/** How peers are told apart and called: by id, by a short form of it, by name. */

/** Enough of an id to tell the peers of one mesh apart by eye. */
const SHORT_LENGTH = 6

/** The end of a peer id; all ids begin alike. */
function shortPeerId(peerId: string): string {
  return peerId.slice(-SHORT_LENGTH)
}

export interface NamedPeer {
  readonly peerId: string
  readonly name: string
}

/**
 * A name for each peer that no other has: its own, or `studio-pc-7fKq2x` where several are
 * called studio-pc. The same on every machine that knows the same peers.
 */
export function displayNames(peers: readonly NamedPeer[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>()
  for (const { name } of peers) {
    const key = name.toLowerCase()
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return new Map(
    peers.map(({ peerId, name }) => [
      peerId,
      counts.get(name.toLowerCase()) === 1 ? name : `${name}-${shortPeerId(peerId)}`,
    ]),
  )
}

/**
 * The peers that a user may mean: by display name, by name, by id or the end of one.
 * One answer is an answer; several are an ambiguity; none is a typing error.
 */
export function peersCalled<T extends NamedPeer>(peers: readonly T[], called: string): T[] {
  const names = displayNames(peers)
  const wanted = called.toLowerCase()
  const unique = peers.filter(
    (peer) => peer.peerId === called || names.get(peer.peerId)?.toLowerCase() === wanted,
  )
  if (unique.length > 0) return unique
  const byName = peers.filter(({ name }) => name.toLowerCase() === wanted)
  if (byName.length > 0 || called.length < SHORT_LENGTH) return byName
  return peers.filter(({ peerId }) => peerId.endsWith(called))
}
