/** What the server is and which nodes it has. */
import { freemem, totalmem } from 'node:os'
import type { JobRunner } from '../../execution/job-runner.ts'
import { json, type Route } from '../route.ts'

/** The ComfyUI whose behaviour is reproduced; clients look for features by it. */
const COMFYUI_VERSION = '0.33.0'

export type ComfyuiFeatures = ReturnType<typeof comfyuiFeatures>

/** What clients may count on; the same as the WebSocket's `feature_flags`. */
export function comfyuiFeatures(maxUploadBytes: number) {
  return {
    supports_preview_metadata: true,
    supports_model_type_tags: false,
    max_upload_size: maxUploadBytes,
    extension: { manager: { supports_v4: false } },
    node_replacements: false,
    assets: false,
  }
}

interface SystemModules {
  readonly runner: JobRunner
  readonly features: ComfyuiFeatures
}

export function systemRoutes({ runner, features }: SystemModules): Route[] {
  return [
    { method: 'GET', path: '/features', handle: () => json(features) },
    { method: 'GET', path: '/system_stats', handle: () => json(systemStats()) },
    { method: 'GET', path: '/object_info', handle: async () => json(await runner.definitions()) },
    {
      method: 'GET',
      path: '/object_info/:name',
      handle: async ({ params }) => {
        const definitions = await runner.definitions()
        const name = params.name!
        return json(Object.hasOwn(definitions, name) ? { [name]: definitions[name] } : {})
      },
    },
  ]
}

/** The keys that clients read; there is no Python here, so its versions stay empty. */
function systemStats() {
  const ram = { total: totalmem(), free: freemem() }
  return {
    system: {
      os: process.platform,
      ram_total: ram.total,
      ram_free: ram.free,
      comfyui_version: COMFYUI_VERSION,
      required_frontend_version: null,
      installed_templates_version: null,
      required_templates_version: null,
      comfy_package_versions: [],
      python_version: '',
      pytorch_version: '',
      embedded_python: false,
      deploy_environment: 'comfymesh',
      argv: ['comfymesh'],
    },
    devices: [
      {
        name: 'cpu',
        type: 'cpu',
        index: null,
        vram_total: ram.total,
        vram_free: ram.free,
        torch_vram_total: ram.total,
        torch_vram_free: ram.free,
      },
    ],
  }
}
