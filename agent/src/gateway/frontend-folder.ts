/** Where an official ComfyUI frontend is found: on this disk, and then at this agent. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'

/** Below which path of the agent the frontend's page is. */
export const FRONTEND_PATH = '/comfy'

/** Where its page lies: in the folder itself, in the Python package, in an unpacked wheel of that. */
const places: readonly string[] = ['.', 'static', join('comfyui_frontend_package', 'static')]

/**
 * The folder that holds the frontend's index.html: the given one or one inside it.
 * @throws MeshError `invalid_settings` when there is none.
 */
export function frontendFolder(given: string): string {
  const found = places
    .map((place) => join(given, place))
    .find((folder) => isFile(join(folder, 'index.html')))
  if (found !== undefined) return found
  throw new MeshError(
    'invalid_settings',
    `${given} holds no frontend: there is no index.html in it. --frontend takes the folder \`static\` of the Python package comfyui-frontend-package.`,
  )
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
