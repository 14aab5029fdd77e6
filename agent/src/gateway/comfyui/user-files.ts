/**
 * The user's own files below `<user folder>/default`, as ComfyUI keeps them: workflows,
 * subgraphs, user.css, settings. Names come from clients; none leaves the folder.
 */
import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import {
  isPartialFile,
  moveNewFile,
  replaceFile,
  writeNewFile,
} from '../../execution/whole-file.ts'
import { containedPath } from '../../models/folders.ts'

export interface UserFiles {
  /** The folder of the only user. */
  readonly root: string
  /** An absolute path for a client's name; undefined where it would lead out of the folder. */
  pathOf(name: string): string | undefined
  /** A path's name below the root, with forward slashes. */
  nameOf(path: string): string
  /** The files of a folder, those of its subfolders too where asked; hidden ones are left out. */
  list(folder: string, options: { readonly recurse: boolean }): Promise<FoundFile[]>
  /** Everything below a folder, folders first, then by name. */
  tree(folder: string): Promise<TreeEntry[]>
  /** The file appears whole or not at all. @returns false when it is there and must stay. */
  write(path: string, bytes: Uint8Array, options: { readonly overwrite: boolean }): Promise<boolean>
  /** @returns false when something is at the destination and must stay. */
  move(from: string, to: string, options: { readonly overwrite: boolean }): Promise<boolean>
  remove(path: string): Promise<void>
  /**
   * Notes a further user, who is no more than a name here: all requests are the first user's.
   * @returns his id, or why there is none.
   */
  addUser(name: string): Promise<{ readonly id: string } | { readonly refusal: string }>
}

export interface FoundFile {
  /** Below the folder that was listed, with forward slashes. */
  readonly name: string
  readonly path: string
}

export interface TreeEntry {
  readonly name: string
  /** Below the user's folder, with forward slashes. */
  readonly path: string
  readonly type: 'directory' | 'file'
  readonly size?: number
  /** In seconds, unlike elsewhere: as in ComfyUI. */
  readonly modified?: number
}

/** @param options.folder ComfyUI's `--user-directory`; it has one user, called `default`. */
export function createUserFiles(options: { readonly folder: string }): UserFiles {
  const root = join(options.folder, 'default')
  const nameOf = (path: string) => relative(root, path).split(sep).join('/')
  return {
    root,
    nameOf,
    pathOf(name) {
      // As in ComfyUI a name may be encoded once more than its URL says.
      const decoded = unquoted(name)
      return isRoot(decoded) ? root : containedPath(root, decoded)
    },
    async list(folder, { recurse }) {
      const entries = await readdir(folder, { recursive: recurse, withFileTypes: true })
      const files = entries.map((entry) => {
        const path = join(entry.parentPath, entry.name)
        return { path, name: relative(folder, path).split(sep).join('/') }
      })
      const shown = files.filter(({ name }) => !/(^|\/)\./.test(name))
      const kept = await Promise.all(shown.map(async (file) => (await isFile(file.path)) && file))
      return kept.filter((file) => file !== false)
    },
    async tree(folder) {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      const kept = entries.filter(({ name }) => !isPartialFile(name))
      const described = await Promise.all(
        kept.map(async (entry): Promise<TreeEntry> => {
          const full = join(entry.parentPath, entry.name)
          const found = await stat(full).catch(() => undefined)
          const named = { name: entry.name, path: nameOf(full) }
          if (found?.isDirectory()) return { ...named, type: 'directory' }
          const about = found && { size: found.size, modified: found.mtimeMs / 1000 }
          return { ...named, type: 'file', ...about }
        }),
      )
      return described.sort(byTypeAndName)
    },
    async write(path, bytes, { overwrite }) {
      if (!overwrite) return writeNewFile(path, bytes)
      await replaceFile(path, bytes)
      return true
    },
    async move(from, to, { overwrite }) {
      await mkdir(dirname(to), { recursive: true })
      if (!overwrite) return moveNewFile(from, to)
      await rename(from, to)
      return true
    },
    remove: (path) => rm(path),
    addUser: (name) => addUser(join(options.folder, 'users.json'), name.trim()),
  }
}

/** Nobody has more; a program that goes wrong might. */
const MAX_USERS = 1000

/** In ComfyUI's file of users: id to name. */
async function addUser(file: string, name: string) {
  const users = await readFile(file, 'utf8').then(JSON.parse, () => ({ default: 'default' }))
  const refusal = refusalOf(name, Object.values(users))
  if (refusal !== undefined) return { refusal }
  const id = `${name.replaceAll(/[^a-zA-Z0-9_-]+/g, '-')}_${randomUUID()}`
  await replaceFile(file, Buffer.from(JSON.stringify({ ...users, [id]: name })))
  return { id }
}

function refusalOf(name: string, names: unknown[]): string | undefined {
  if (name === '') return 'username not provided'
  if (name.startsWith('__')) return 'System User prefix not allowed'
  if (names.includes(name)) return 'Duplicate username.'
  return names.length >= MAX_USERS ? 'There are too many users.' : undefined
}

/** What ComfyUI tells of a file; times in milliseconds. */
export function fileInfo(path: string, { size, mtimeMs, birthtimeMs }: Stats) {
  return { path, size, modified: Math.trunc(mtimeMs), created: Math.trunc(birthtimeMs) }
}

function isRoot(name: string): boolean {
  return /^(\.\/+)*\.?$/.test(name)
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

function byTypeAndName(a: TreeEntry, b: TreeEntry): number {
  if (a.type !== b.type) return a.type === 'directory' ? -1 : 1
  const [first, second] = [a.name.toLowerCase(), b.name.toLowerCase()]
  return first < second ? -1 : first > second ? 1 : 0
}

/** Python's `unquote`: what is no UTF-8 becomes a mark, what is no escape stays. */
function unquoted(name: string): string {
  return name.replaceAll(/(%[0-9a-f]{2})+/gi, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}
