/** The frontend's settings, in the file in which ComfyUI keeps them. */
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { replaceFile } from '../../execution/whole-file.ts'
import { type Answer, asObject, empty, json, jsonBody, type Route, text } from '../route.ts'
import type { UserModules } from './user-routes.ts'

/** A frontend's settings weigh some kilobytes; colour palettes and key bindings included. */
const MAX_SETTINGS_BYTES = 4 * 1024 * 1024

const FILE_NAME = 'comfy.settings.json'

/**
 * What a new user begins with where a frontend is served: its first steps are a gallery of
 * templates, which the agent does not have, above an empty graph. So it opens its default graph.
 */
const firstSettings = { 'Comfy.TutorialCompleted': true }

/** Puts the first settings where there are none. */
export async function offerFirstSettings(userFiles: UserModules['userFiles']): Promise<void> {
  const bytes = Buffer.from(stringifyJson(firstSettings, 4))
  await userFiles.write(join(userFiles.root, FILE_NAME), bytes, { overwrite: false })
}

interface SettingsFile {
  read(): Promise<JsonObject>
  /** Changes come one after another, so that none undoes another. */
  change(change: (settings: JsonObject) => JsonObject): Promise<Answer>
}

export function settingsRoutes({ userFiles }: UserModules): Route[] {
  const file = createSettingsFile(join(userFiles.root, FILE_NAME))
  return [
    { method: 'GET', path: '/settings', handle: async () => json(await file.read()) },
    {
      method: 'GET',
      path: '/settings/:id',
      handle: async ({ params }) => {
        const settings = await file.read()
        return json(Object.hasOwn(settings, params.id!) ? settings[params.id!] : null)
      },
    },
    {
      method: 'POST',
      path: '/settings',
      handle: async (request) => {
        const given = asObject(jsonBody(request))
        return file.change((settings) => ({ ...settings, ...given }))
      },
    },
    {
      method: 'POST',
      path: '/settings/:id',
      handle: async (request) => {
        const value = jsonBody(request)
        return file.change((settings) => ({ ...settings, [request.params.id!]: value }))
      },
    },
  ]
}

function createSettingsFile(path: string): SettingsFile {
  let last: Promise<unknown> = Promise.resolve()

  async function write(change: (settings: JsonObject) => JsonObject): Promise<Answer> {
    const settings = await read()
    const bytes = Buffer.from(stringifyJson(change(settings ?? {}), 4))
    if (bytes.length > MAX_SETTINGS_BYTES) return text('The settings would be too large.', 413)
    // What cannot be read may still be repaired by hand.
    if (settings === undefined) await rename(path, `${path}.broken`)
    await replaceFile(path, bytes)
    return empty()
  }

  /** No settings where there is no file, undefined where it holds none. */
  async function read(): Promise<JsonObject | undefined> {
    const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '{}'
      throw error
    })
    try {
      return asObject(parseJson(content))
    } catch {
      return undefined
    }
  }

  return {
    read: async () => (await read()) ?? {},
    change: (change) => {
      const done = last.then(() => write(change))
      last = done.catch(() => {})
      return done
    },
  }
}
