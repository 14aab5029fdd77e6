/** Names of the models in the user's folders. */
import { type ModelFolders, type ModelKind, modelKinds } from '../../models/folders.ts'
import { empty, json, type Route } from '../route.ts'

export function modelRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  return [
    { method: 'GET', path: '/models', handle: () => json(Object.keys(modelKinds)) },
    {
      method: 'GET',
      path: '/models/:folder',
      handle: ({ params }) => {
        const kind = params.folder!
        return Object.hasOwn(modelKinds, kind) ? json(folders.list(kind as ModelKind)) : empty(404)
      },
    },
    {
      method: 'GET',
      path: '/embeddings',
      handle: () => json(folders.list('embeddings').map((name) => name.replace(/\.[^./]+$/, ''))),
    },
  ]
}
