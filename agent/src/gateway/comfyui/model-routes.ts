/** The models in the user's folders: their names, their descriptions and their pictures. */
import { stat } from 'node:fs/promises'
import { MeshError } from '@comfymesh/protocol/errors'
import { type ModelFolders, type ModelKind, modelKinds } from '../../models/folders.ts'
import { openSafetensors } from '../../models/safetensors.ts'
import { type Answer, empty, json, type Route } from '../route.ts'
import { modelPreview } from './model-preview.ts'

export function modelRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  const ofKind = (answer: (kind: ModelKind, params: Params) => Answer | Promise<Answer>) => {
    return ({ params, query }: { readonly params: Params; readonly query: URLSearchParams }) => {
      const kind = params.folder!
      const given = { ...params, filename: params['*'] ?? query.get('filename') ?? '' }
      return Object.hasOwn(modelKinds, kind) ? answer(kind as ModelKind, given) : empty(404)
    }
  }
  return [
    { method: 'GET', path: '/models', handle: () => json(Object.keys(modelKinds)) },
    {
      method: 'GET',
      path: '/models/:folder',
      handle: ofKind((kind) => json(folders.list(kind))),
    },
    {
      method: 'GET',
      path: '/embeddings',
      handle: () => json(folders.list('embeddings').map((name) => name.replace(/\.[^./]+$/, ''))),
    },
    { method: 'GET', path: '/experiment/models', handle: () => json(kindList(folders)) },
    {
      method: 'GET',
      path: '/experiment/models/:folder',
      handle: ofKind(async (kind) => json(await fileList(folders, kind))),
    },
    {
      method: 'GET',
      path: '/experiment/models/preview/:folder/:index/*',
      handle: ofKind(async (kind, { index, filename }) => {
        const folder = /^\d+$/.test(index!) ? folders.foldersOf(kind)[Number(index)] : undefined
        const preview = folder === undefined ? undefined : await modelPreview(folder, filename!)
        if (preview === undefined) return empty(404)
        return { status: 200, headers: { 'content-type': 'image/webp' }, body: preview }
      }),
    },
    {
      method: 'GET',
      path: '/view_metadata/:folder',
      handle: ofKind((kind, { filename }) => metadata(folders.find(kind, filename!))),
    },
  ]
}

type Params = { readonly [name: string]: string }

/** What ComfyUI leaves out of its list of model folders. */
const NO_MODELS: readonly string[] = ['configs']

function kindList(folders: ModelFolders) {
  const kinds = Object.keys(modelKinds).filter((kind) => !NO_MODELS.includes(kind)) as ModelKind[]
  const extensions = ['.safetensors', '.sft']
  return kinds.map((name) => ({ name, folders: folders.foldersOf(name), extensions }))
}

/** Every file of every folder, those included that one of an earlier folder hides; times in seconds. */
async function fileList(folders: ModelFolders, kind: ModelKind) {
  const files = folders.files(kind).map(async ({ name, folderIndex, path }) => {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return undefined
    const { size, mtimeMs, birthtimeMs } = found
    const times = { modified: mtimeMs / 1000, created: birthtimeMs / 1000 }
    return { name, pathIndex: folderIndex, ...times, size }
  })
  return (await Promise.all(files)).filter((file) => file !== undefined)
}

/** The description inside a model's file; 404 for a file without one, or that is none. */
async function metadata(path: string | undefined): Promise<Answer> {
  if (!path?.endsWith('.safetensors')) return empty(404)
  try {
    const { metadata: found } = await openSafetensors(path)
    return Object.keys(found).length === 0 ? empty(404) : json(found)
  } catch (error) {
    if (error instanceof MeshError) return empty(404)
    throw error
  }
}
