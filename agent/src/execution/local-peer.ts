/** What this machine offers to its own planner: the same shape in which other peers will. */
import type { Advertisement } from '@comfymesh/protocol/advertisement'
import type { Executor } from '../executors/executor.ts'
import type { PeerOffer } from '../planning/peers.ts'

export interface LocalPeer {
  readonly advertisement: Advertisement
  /** The offer of this moment: the model and file lists are read anew. */
  offer(): Promise<PeerOffer>
}

export function createLocalPeer(
  advertisement: Advertisement,
  modules: { readonly executor: Pick<Executor, 'definitions' | 'validation'> },
): LocalPeer {
  const { executor } = modules
  return {
    advertisement,
    offer: async () => ({
      advertisement,
      definitions: await executor.definitions(),
      judgedInputs: (classType) => executor.validation(classType)?.inputs ?? [],
    }),
  }
}
