/** Files that clients put into the input folder, or into output and temp. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { parseJson } from '@comfymesh/protocol/json'
import { replaceFile, writeNewFile } from '../../execution/whole-file.ts'
import { containedPath, type FolderSettings, type ModelFolders } from '../../models/folders.ts'
import { type Answer, asObject, empty, json, type Request, type Route } from '../route.ts'
import { fileAt } from './file-answer.ts'
import { type Form, readForm } from './form.ts'
import { withAlphaOf } from './mask.ts'
import { isFileFolder, locate } from './view-routes.ts'

export function uploadRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  return [
    {
      method: 'POST',
      path: '/upload/image',
      handle: (request) => upload(request, folders.settings, async (_form, bytes) => bytes),
    },
    {
      method: 'POST',
      path: '/upload/mask',
      handle: (request) => upload(request, folders.settings, masked(folders.settings)),
    },
  ]
}

/** What of an upload is kept; a status where it is refused. */
type Transform = (form: Form, bytes: Buffer) => Promise<Uint8Array | number>

async function upload(
  request: Request,
  folders: FolderSettings,
  transform: Transform,
): Promise<Answer> {
  const form = readForm(request)
  const file = form?.file('image')
  if (form === undefined || file === undefined || file.name === '') return empty(400)
  const type = form.text('type') ?? 'input'
  if (!isFileFolder(type)) return empty(400)
  const subfolder = form.text('subfolder') ?? ''
  // As in Python's paths, `.` is the folder itself.
  const below = subfolder.replace(/^(\.\/+)*\.?$/, '')
  const path = containedPath(folders[type], below === '' ? file.name : `${below}/${file.name}`)
  if (path === undefined || (below !== '' && !containedPath(folders[type], below)))
    return empty(400)
  const kept = await transform(form, file.bytes)
  if (typeof kept === 'number') return empty(kept)
  const overwrite = ['true', '1'].includes(form.text('overwrite') ?? '')
  if (overwrite) await replaceFile(path, kept)
  const name = overwrite ? file.name : await storeBeside(path, file.name, kept)
  return json({ name, subfolder, type })
}

/** Lays the alpha of the upload into the picture that its `original_ref` names. */
function masked(folders: FolderSettings): Transform {
  return async (form, bytes) => {
    const given = asObject(parseJson(form.text('original_ref') ?? ''))
    const text = (key: string) => (typeof given[key] === 'string' ? given[key] : null)
    const reference = { filename: text('filename'), type: text('type') }
    const located = locate({ ...reference, subfolder: text('subfolder') }, folders)
    if ('status' in located) return located.status
    if ((await fileAt(located.path)) === undefined) return 404
    return withAlphaOf(bytes, await readFile(located.path)).catch(() => 400)
  }
}

/** The same bytes keep their name; other bytes under a taken name get `name (1).png`. */
async function storeBeside(path: string, name: string, bytes: Uint8Array): Promise<string> {
  const numbered = (full: string, index: number) => {
    const extension = extname(full)
    return index === 0
      ? full
      : `${full.slice(0, full.length - extension.length)} (${index})${extension}`
  }
  for (let index = 0; ; index++) {
    const candidate = numbered(path, index)
    if (await writeNewFile(candidate, bytes)) return numbered(name, index)
    if (await holds(candidate, bytes)) return numbered(name, index)
  }
}

/** Looks at the size first: there may be hundreds of large files of the same name. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const file = await fileAt(path)
  return file?.size === bytes.length && (await readFile(path)).equals(bytes)
}
