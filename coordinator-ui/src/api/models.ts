/** The models of the mesh, as the agent's /v1/models tells them. */
import type { MeshModels } from '@comfymesh/protocol/mesh-models'
import { get } from './http.ts'

export const readModels = (signal?: AbortSignal) => get<MeshModels>('v1/models', signal)
