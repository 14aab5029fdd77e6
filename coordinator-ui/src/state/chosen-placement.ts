/** Where all that is run from this page is to run, until it is changed; undefined for anywhere. */
import { keptStore } from './kept-store.ts'
import type { Placement } from './placement.ts'

export const placement = keptStore<Placement>('comfymesh.placement')
