/**
 * Units joined into clusters that go to one peer each. With as few bytes between them as possible,
 * for a prompt that no peer can run alone; by who can run them, and along the branches that could
 * run at the same time, for one that might end earlier on several.
 */
import type { Unit } from './group.ts'

/** Another peer must gain this much: each is one more that can fail. */
export const ANOTHER_PEER_MS = 250

/** What flows from one unit to another. */
export interface Edge {
  readonly from: number
  readonly to: number
  readonly bytes: number
  /** Between a sampler and the node that decodes what it made. */
  readonly isDecoding: boolean
}

export interface ClusterInput {
  readonly units: readonly Unit[]
  /** The heaviest first. */
  readonly edges: readonly Edge[]
  /** By unit: the peers that can run it, as bits. */
  readonly able: readonly bigint[]
  /** By unit: what it takes on an average peer. */
  readonly meanMs: readonly number[]
}

/** By unit the number of its cluster. */
export type Clustering = readonly number[]

/**
 * Joins what the heaviest edges connect as long as some peer can run the whole, so that the
 * cuts which remain are cheap. What a sampler makes is decoded with it where that is possible.
 */
export function cheapestCut(input: ClusterInput): Clustering {
  const joining = new Joining(input)
  for (const { from, to } of input.edges) joining.tryJoin(from, to)
  return joining.clustering()
}

/** The same, but only what the same peers can run is joined: nothing is kept from a faster one. */
export function alike(input: ClusterInput): Clustering {
  const joining = new Joining(input)
  for (const { from, to } of input.edges)
    if (input.able[from] === input.able[to]) joining.tryJoin(from, to)
  return joining.clustering()
}

/** What is decoded comes before all else. */
export function heaviestFirst(edges: readonly Edge[]): Edge[] {
  return edges.toSorted(
    (a, b) =>
      Number(b.isDecoding) - Number(a.isDecoding) ||
      b.bytes - a.bytes ||
      a.from - b.from ||
      a.to - b.to,
  )
}

/**
 * Joins neighbours unless that would put two heavy clusters in line which could run at the same
 * time: branches stay apart, and a light node goes with the only one that it serves.
 */
export function branches(input: ClusterInput): Clustering {
  const joining = new Joining(input)
  const isHeavy = (cluster: number) => joining.meanMs(cluster) >= ANOTHER_PEER_MS
  const keepsApart = (side: ReadonlySet<number>, one: number, other: number) =>
    isHeavy(one) && [...side].some((rival) => rival !== one && rival !== other && isHeavy(rival))
  for (let joined = true; joined; ) {
    joined = false
    for (const edge of input.edges) {
      const [from, to] = [joining.find(edge.from), joining.find(edge.to)]
      if (from === to) continue
      const servesOne = joining.after(from).size === 1 && !keepsApart(joining.before(to), from, to)
      const servedByOne =
        joining.before(to).size === 1 && !keepsApart(joining.after(from), to, from)
      if ((servesOne || servedByOne) && joining.tryJoin(from, to)) joined = true
    }
  }
  return joining.clustering()
}

/** Clusters that grow by joining two, never into a circle and never beyond what one peer can run. */
class Joining {
  readonly #parent: number[]
  readonly #able: bigint[]
  readonly #meanMs: number[]
  readonly #before: Set<number>[]
  readonly #after: Set<number>[]

  constructor({ units, edges, able, meanMs }: ClusterInput) {
    this.#parent = units.map(({ index }) => index)
    this.#able = [...able]
    this.#meanMs = [...meanMs]
    this.#before = units.map(() => new Set())
    this.#after = units.map(() => new Set())
    for (const { from, to } of edges) {
      this.#before[to]!.add(from)
      this.#after[from]!.add(to)
    }
  }

  find(unit: number): number {
    let root = unit
    while (this.#parent[root] !== root) root = this.#parent[root]!
    for (let at = unit; at !== root; ) {
      const next = this.#parent[at]!
      this.#parent[at] = root
      at = next
    }
    return root
  }

  before = (cluster: number): ReadonlySet<number> => this.#before[cluster]!
  after = (cluster: number): ReadonlySet<number> => this.#after[cluster]!
  meanMs = (cluster: number): number => this.#meanMs[cluster]!

  /** @param one comes before `other`. */
  tryJoin(one: number, other: number): boolean {
    const [from, to] = [this.find(one), this.find(other)]
    if (from === to || (this.#able[from]! & this.#able[to]!) === 0n) return false
    if (this.#hasDetour(from, to)) return false
    this.#absorb(from, to)
    return true
  }

  clustering(): Clustering {
    return this.#parent.map((_, unit) => this.find(unit))
  }

  /** Whether another way than the edge leads there: joining the ends would close a circle. */
  #hasDetour(from: number, to: number): boolean {
    if (this.#after[from]!.size === 1 || this.#before[to]!.size === 1) return false
    const seen = new Set([from])
    const pending = [...this.#after[from]!].filter((next) => next !== to)
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (at === to) return true
      if (seen.has(at)) continue
      seen.add(at)
      pending.push(...this.#after[at]!)
    }
    return false
  }

  #absorb(kept: number, gone: number): void {
    this.#parent[gone] = kept
    this.#able[kept] = this.#able[kept]! & this.#able[gone]!
    this.#meanMs[kept]! += this.#meanMs[gone]!
    this.#rename(this.#before, this.#after, gone, kept)
    this.#rename(this.#after, this.#before, gone, kept)
  }

  /** The neighbours of `gone` on one side become those of `kept`. */
  #rename(own: Set<number>[], theirs: Set<number>[], gone: number, kept: number): void {
    for (const neighbour of own[gone]!) {
      theirs[neighbour]!.delete(gone)
      if (neighbour === kept) continue
      theirs[neighbour]!.add(kept)
      own[kept]!.add(neighbour)
    }
    own[gone]!.clear()
  }
}
