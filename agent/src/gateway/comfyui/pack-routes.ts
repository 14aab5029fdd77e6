/**
 * What node packs, templates and the asset database of a ComfyUI would add. There are none
 * here, and a frontend is content to hear so.
 */
import { json, type Route } from '../route.ts'

/** Answers of a ComfyUI without packs, by path. */
const withoutPacks: { readonly [path: string]: unknown } = {
  '/extensions': [],
  '/i18n': {},
  '/workflow_templates': {},
  '/global_subgraphs': {},
  '/global_subgraphs/:id': null,
  '/node_replacements': {},
}

const assetsDisabled = {
  code: 'SERVICE_DISABLED',
  message: 'Assets are not available on this server.',
  details: {},
}

const assetPaths = ['/api/assets', '/api/assets/*', '/api/tags', '/api/tags/*']
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export function packRoutes(): Route[] {
  return [
    ...Object.entries(withoutPacks).map(
      ([path, answer]): Route => ({ method: 'GET', path, handle: () => json(answer) }),
    ),
    ...assetPaths.flatMap((path) =>
      methods.map((method): Route => {
        return { method, path, handle: () => json({ error: assetsDisabled }, 503) }
      }),
    ),
  ]
}
