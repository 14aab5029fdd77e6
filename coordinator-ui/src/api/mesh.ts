/** The mesh, as the agent's /v1/mesh tells it and changes it. */
import type { LoadHistory } from '@comfymesh/protocol/loads'
import type { IssuedInvite, MeshPeers, Rotated } from '@comfymesh/protocol/mesh'
import { get, post, remove } from './http.ts'

export const readPeers = (signal?: AbortSignal) => get<MeshPeers>('v1/mesh/peers', signal)
export const readLoads = (signal?: AbortSignal) => get<LoadHistory>('v1/mesh/loads', signal)
export const makeInvite = () => post<IssuedInvite>('v1/mesh/invites')
export const removePeer = (peerId: string) =>
  remove<Rotated>(`v1/mesh/peers/${encodeURIComponent(peerId)}`)
