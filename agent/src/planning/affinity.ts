/** Where the user wants nodes to run, and what becomes of it when that peer cannot. */
import { MeshError } from '@comfymesh/protocol/errors'
import { peersCalled } from '@comfymesh/protocol/ids'
import type { PlanOptions } from '@comfymesh/protocol/plan'
import type { NodeId } from '@comfymesh/protocol/workflow'
import { bitsOf } from './abilities.ts'
import type { Graph } from './graph.ts'
import { memoized } from './memoized.ts'
import type { Peers } from './peers.ts'

type Affinity = PlanOptions['affinity']

export interface Bindings {
  /** The peers on which a node may run, as bits. */
  allowed(id: NodeId): bigint
  /** Why it may not run elsewhere. */
  reason(id: NodeId): string
  /** The key of the affinity that binds a node, if one does. */
  key(id: NodeId): string | undefined
}

/** An id says more than a class. Loaders are bound too, and with them the nodes that need them. */
export function bindingsOf({ prompt }: Graph, peers: Peers, affinity: Affinity): Bindings {
  const named = peers.list.map(({ offer: { advertisement } }) => advertisement)
  const everyone = bitsOf(peers, () => true)
  const called = memoized((name: string) => {
    const ids = new Set(peersCalled(named, name).map(({ peerId }) => peerId))
    return bitsOf(peers, ({ peerId }) => ids.has(peerId))
  })
  const key = (id: NodeId) => {
    const classType = prompt[id]!.class_type
    return [id, classType].find((candidate) => Object.hasOwn(affinity, candidate))
  }
  return {
    key,
    allowed: (id) => {
      const binding = key(id)
      return binding === undefined ? everyone : called(affinity[binding]!)
    },
    reason: (id) => `${prompt[id]!.class_type} (node ${id}) is to run on ${affinity[key(id)!]}`,
  }
}

/** The wish without those keys. */
export function without(affinity: Affinity, keys: ReadonlySet<string>): Affinity {
  return Object.fromEntries(Object.entries(affinity).filter(([key]) => !keys.has(key)))
}

/**
 * A class that the prompt does not use is fine, because the same wish may come with every prompt.
 * @throws MeshError `invalid_prompt` for what is neither a node nor a class: a slip of the pen.
 */
export function checkAffinity(affinity: Affinity, { prompt, definitions }: Graph): void {
  for (const [key, peer] of Object.entries(affinity)) {
    if (Object.hasOwn(prompt, key) || Object.hasOwn(definitions, key)) continue
    const message = `extra_data.comfymesh.affinity binds "${key}" to ${peer}, but "${key}" is neither a node of this prompt nor a node class. Use a node's id or class.`
    throw new MeshError('invalid_prompt', message, { details: { key, peer } })
  }
}
