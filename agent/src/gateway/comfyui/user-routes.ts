/** The user and his files: workflows that a frontend saves and opens. */
import { stat } from 'node:fs/promises'
import {
  type Answer,
  asObject,
  empty,
  json,
  jsonBody,
  type Request,
  type Route,
  text,
} from '../route.ts'
import { fileAnswer, fileAt, mediaTypeOf } from './file-answer.ts'
import { fileInfo, type UserFiles } from './user-files.ts'

export interface UserModules {
  readonly userFiles: UserFiles
}

export function userRoutes({ userFiles }: UserModules): Route[] {
  const withPath = (handle: (path: string, request: Request) => Promise<Answer>) => {
    return async (request: Request) => {
      const path = userFiles.pathOf(request.params.file!)
      return path === undefined ? empty(403) : handle(path, request)
    }
  }
  return [
    {
      method: 'GET',
      path: '/users',
      // There is one user, whose folder is made when the agent starts.
      handle: () => json({ storage: 'server', migrated: true }),
    },
    {
      method: 'POST',
      path: '/users',
      handle: async (request) => {
        const { username } = asObject(jsonBody(request))
        if (typeof username !== 'string') throw new TypeError('a username was expected')
        const added = await userFiles.addUser(username)
        return 'id' in added ? json(added.id) : json({ error: added.refusal }, 400)
      },
    },
    { method: 'GET', path: '/userdata', handle: ({ query }) => list(userFiles, query) },
    { method: 'GET', path: '/v2/userdata', handle: ({ query }) => tree(userFiles, query) },
    {
      method: 'GET',
      path: '/userdata/:file',
      handle: withPath((path, request) => read(userFiles, path, request)),
    },
    {
      method: 'POST',
      path: '/userdata/:file',
      handle: withPath((path, request) =>
        written(userFiles, path, request.query, (overwrite) =>
          userFiles.write(path, request.body, { overwrite }),
        ),
      ),
    },
    {
      method: 'DELETE',
      path: '/userdata/:file',
      handle: withPath(async (path) => {
        if ((await fileAt(path)) === undefined) return empty(404)
        await userFiles.remove(path)
        return { status: 204 }
      }),
    },
    {
      method: 'POST',
      path: '/userdata/:file/move/:destination',
      handle: withPath(async (path, { params, query }) => {
        const destination = userFiles.pathOf(params.destination!)
        if (destination === undefined) return empty(403)
        if ((await stat(path).catch(() => undefined)) === undefined) return empty(404)
        return written(userFiles, destination, query, (overwrite) =>
          userFiles.move(path, destination, { overwrite }),
        )
      }),
    },
  ]
}

const isTrue = (value: string | null) => value?.toLowerCase() === 'true'

async function list(userFiles: UserFiles, query: URLSearchParams): Promise<Answer> {
  const folder = query.get('dir') ?? ''
  if (folder === '') return text('Directory not provided', 400)
  const path = userFiles.pathOf(folder)
  if (path === undefined) return text('Invalid directory', 403)
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return text('Directory not found', 404)
  if (!found.isDirectory()) return json([])
  const files = await userFiles.list(path, { recurse: isTrue(query.get('recurse')) })
  if (isTrue(query.get('full_info'))) {
    const infos = files.map(async (file) => fileInfo(file.name, await stat(file.path)))
    return json(await Promise.all(infos))
  }
  const isSplit = isTrue(query.get('split'))
  return json(files.map(({ name }) => (isSplit ? [name, ...name.split('/')] : name)))
}

async function tree(userFiles: UserFiles, query: URLSearchParams): Promise<Answer> {
  const path = userFiles.pathOf(query.get('path') ?? '')
  if (path === undefined) return text('Invalid path requested', 400)
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return text('Requested path not found', 404)
  if (!found.isDirectory()) return text('Requested path is not a directory', 400)
  return json(await userFiles.tree(path))
}

/** A user's file is never shown inline, save the style sheet that the frontend asks for. */
async function read(userFiles: UserFiles, path: string, request: Request): Promise<Answer> {
  const file = await fileAt(path)
  if (file === undefined) return empty(404)
  const isStyle = userFiles.nameOf(path) === 'user.css'
  const headers = isStyle
    ? { 'content-type': 'text/css', 'content-disposition': 'inline' }
    : { 'content-type': mediaTypeOf(path), 'content-disposition': 'attachment' }
  return fileAnswer(path, file, headers, request.headers)
}

/** What the file system says of a name that cannot be one, or is a folder's. */
const BAD_NAME = [
  'EEXIST',
  'EINVAL',
  'EISDIR',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOTDIR',
  'ENOTEMPTY',
  'EPERM',
]

/** Puts a file at `path` by `put` and tells of it. */
async function written(
  userFiles: UserFiles,
  path: string,
  query: URLSearchParams,
  put: (overwrite: boolean) => Promise<boolean>,
): Promise<Answer> {
  try {
    if (!(await put(query.get('overwrite') !== 'false'))) return text('File already exists', 409)
  } catch (error) {
    if (BAD_NAME.includes((error as NodeJS.ErrnoException).code ?? '')) return empty(400)
    throw error
  }
  const name = userFiles.nameOf(path)
  return json(isTrue(query.get('full_info')) ? fileInfo(name, await stat(path)) : name)
}
