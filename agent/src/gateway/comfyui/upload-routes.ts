/** Files that clients put into the input folder, or into output and temp. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { replaceFile, writeNewFile } from '../../execution/whole-file.ts'
import { containedPath, type FolderSettings, type ModelFolders } from '../../models/folders.ts'
import { type Answer, empty, json, type Request, type Route } from '../route.ts'

export function uploadRoutes({ folders }: { readonly folders: ModelFolders }): Route[] {
  const handle = (request: Request) => upload(request, folders.settings)
  return [{ method: 'POST', path: '/upload/image', handle }]
}

async function upload(request: Request, folders: FolderSettings): Promise<Answer> {
  const form = await formOf(request)
  const file = form?.get('image')
  if (form === undefined || !(file instanceof File) || file.name === '') return empty(400)
  const type = form.get('type') ?? 'input'
  if (type !== 'input' && type !== 'output' && type !== 'temp') return empty(400)
  const subfolder = String(form.get('subfolder') ?? '')
  const below = subfolder === '' ? file.name : `${subfolder}/${file.name}`
  const path = containedPath(folders[type], below)
  if (path === undefined || (subfolder !== '' && !containedPath(folders[type], subfolder)))
    return empty(400)
  const bytes = Buffer.from(await file.arrayBuffer())
  const overwrite = ['true', '1'].includes(String(form.get('overwrite')))
  if (overwrite) await replaceFile(path, bytes)
  const name = overwrite ? file.name : await storeBeside(path, file.name, bytes)
  return json({ name, subfolder, type })
}

/** @returns undefined when the body is no form. */
async function formOf({ headers, body }: Request): Promise<FormData | undefined> {
  const type = headers['content-type'] ?? ''
  if (!type.startsWith('multipart/form-data')) return undefined
  return new Response(new Uint8Array(body), { headers: { 'content-type': type } })
    .formData()
    .catch(() => undefined)
}

/** The same bytes keep their name; other bytes under a taken name get `name (1).png`. */
async function storeBeside(path: string, name: string, bytes: Buffer): Promise<string> {
  const numbered = (full: string, index: number) => {
    const extension = extname(full)
    return index === 0
      ? full
      : `${full.slice(0, full.length - extension.length)} (${index})${extension}`
  }
  for (let index = 0; ; index++) {
    const candidate = numbered(path, index)
    if (await writeNewFile(candidate, bytes)) return numbered(name, index)
    const present = await readFile(candidate).catch(() => undefined)
    if (present?.equals(bytes)) return numbered(name, index)
  }
}
