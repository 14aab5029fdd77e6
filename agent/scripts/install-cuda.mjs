#!/usr/bin/env node
/**
 * `npm run cuda`: fetches the CUDA provider of onnxruntime, which is too large for the npm
 * registry, by onnxruntime-node's own install script. Everything works without it, on the CPU
 * or on WebGPU; this is for machines with an NVIDIA GPU.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** What the platforms that need no download use instead. */
const builtIn = {
  win32: 'On Windows comfymesh computes on any GPU through DirectML, which is installed already.',
  darwin: 'On macOS comfymesh computes through CoreML or WebGPU, which are installed already.',
}

const platform = `${process.platform}/${process.arch}`
const root = dirname(require.resolve('onnxruntime-node/package.json'))
const { requirements } = require(join(root, 'script', 'install-metadata.js'))
const manifest = requirements[platform]?.find((name) => name.startsWith('cuda'))

if (manifest === undefined) {
  console.log(builtIn[process.platform] ?? `onnxruntime has no CUDA build for ${platform}.`)
  process.exit(process.platform in builtIn ? 0 : 1)
}

console.log(`Fetching onnxruntime's ${manifest} provider from nuget.org (some 300 MB) ...`)
const { status } = spawnSync(process.execPath, [join(root, 'script', 'install.js')], {
  stdio: 'inherit',
  env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: manifest },
})
const library = join(root, 'bin', 'napi-v6', platform, 'libonnxruntime_providers_cuda.so')

if (status !== 0 || !existsSync(library)) {
  console.error(`
The CUDA provider could not be installed. It comes from https://api.nuget.org, which this machine
has to reach; behind a proxy set GLOBAL_AGENT_HTTPS_PROXY. On a machine without internet access,
copy the folder ${dirname(library)}
from one where \`npm run cuda\` succeeded. Nothing else has changed: comfymesh still runs on the CPU.`)
  process.exit(1)
}

console.log(`
Installed. It also needs, from NVIDIA: a driver, the CUDA ${manifest.replace('cuda', '')} runtime and cuDNN 9 where the
system's loader finds them (LD_LIBRARY_PATH, or packages of the distribution).
\`npm run comfymesh -- doctor\` tells whether it works.`)
