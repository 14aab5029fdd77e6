/** What ComfyUI keeps for its own frontend: the log, the folders, the files in them. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { LogLine } from '@comfymesh/protocol/log-lines'
import { isPartialFile } from '../../execution/whole-file.ts'
import { type ModelFolders, type ModelKind, modelKinds } from '../../models/folders.ts'
import { type Log, markOf } from '../../telemetry/log.ts'
import { asObject, empty, json, jsonBody, type Route } from '../route.ts'
import type { Sockets } from './sockets.ts'
import { isFileFolder } from './view-routes.ts'

export interface InternalModules {
  readonly folders: ModelFolders
  readonly log: Log
  readonly sockets: Pick<Sockets, 'has' | 'tell'>
}

/** As many as ComfyUI keeps. */
const KEPT = { limit: 300 }

export function internalRoutes({ folders, log, sockets }: InternalModules): Route[] {
  const subscribe = createLogSubscriptions(log, sockets)
  const rows: Omit<Route, 'onlyAtRoot'>[] = [
    {
      method: 'GET',
      path: '/internal/logs',
      handle: () => {
        const entries = log.recent(KEPT).map(entryOf)
        return json(entries.map(({ t, m }) => `${t} - ${m}`).join(''))
      },
    },
    {
      method: 'GET',
      path: '/internal/logs/raw',
      handle: () => json({ entries: log.recent(KEPT).map(entryOf), size: terminalSize() }),
    },
    {
      method: 'PATCH',
      path: '/internal/logs/subscribe',
      handle: (request) => {
        const { clientId, enabled } = asObject(jsonBody(request))
        if (typeof clientId !== 'string' || enabled === undefined)
          throw new TypeError('clientId and enabled were expected')
        subscribe(clientId, Boolean(enabled))
        return empty()
      },
    },
    {
      method: 'GET',
      path: '/internal/folder_paths',
      handle: () => {
        const kinds = Object.keys(modelKinds) as ModelKind[]
        return json(Object.fromEntries(kinds.map((kind) => [kind, folders.foldersOf(kind)])))
      },
    },
    {
      method: 'GET',
      path: '/internal/files/:type',
      handle: async ({ params: { type } }) => {
        if (!isFileFolder(type)) return json({ error: 'Invalid directory type' }, 400)
        const names = await newestFirst(folders.settings[type])
        return json(names.map((name) => `${name} [${type}]`))
      },
    },
  ]
  return rows.map((row) => ({ ...row, onlyAtRoot: true }))
}

/** @returns how a client asks for further lines, or not; it is forgotten when it goes away. */
function createLogSubscriptions(log: Log, sockets: InternalModules['sockets']) {
  const clientIds = new Set<string>()
  let unfollow: (() => void) | undefined

  function tellOf(line: LogLine): void {
    const data = { entries: [entryOf(line)], size: terminalSize() }
    for (const id of clientIds) if (!sockets.tell(id, 'logs', data)) drop(id)
  }

  function drop(id: string): void {
    clientIds.delete(id)
    if (clientIds.size > 0) return
    unfollow?.()
    unfollow = undefined
  }

  return (clientId: string, enabled: boolean) => {
    if (!enabled) return drop(clientId)
    // Only as many as there are sockets: whoever is told of nothing is not kept either.
    for (const id of clientIds) if (!sockets.has(id)) drop(id)
    if (!sockets.has(clientId)) return
    clientIds.add(clientId)
    unfollow ??= log.follow(tellOf)
  }
}

/** As Python writes a local time: without its zone. */
function entryOf({ atMs, level, message }: LogLine) {
  const zoneMs = new Date(atMs).getTimezoneOffset() * 60_000
  const local = new Date(atMs - zoneMs).toISOString().slice(0, -1)
  return { t: local, m: `${markOf(level)}${message}\n` }
}

/** Python's guess where there is no terminal. */
function terminalSize(): JsonObject {
  return { cols: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 }
}

async function newestFirst(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !isPartialFile(entry.name))
  const dated = await Promise.all(
    files.map(async ({ name }) => {
      const found = await stat(join(folder, name)).catch(() => undefined)
      return { name, mtimeMs: found?.mtimeMs ?? 0 }
    }),
  )
  return dated.sort((a, b) => b.mtimeMs - a.mtimeMs).map(({ name }) => name)
}
