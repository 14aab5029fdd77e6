/** The models of the mesh, under /v1. */
import { type MeshModels, meshModelsSchema } from '@comfymesh/protocol/mesh-models'
import { json, type Route } from '../route.ts'

export interface ModelModules {
  readonly meshModels: () => Promise<MeshModels>
}

export function modelRoutes({ meshModels }: ModelModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/models',
      documentation: {
        summary: 'The models of all machines of the mesh',
        description:
          'Which machines have each, and which have it in memory. Where machines have different ' +
          'files of one name, the model has several `files`.',
        answers: { 200: { description: 'As of now', schema: meshModelsSchema } },
      },
      handle: async () => json(await meshModels()),
    },
  ]
}
