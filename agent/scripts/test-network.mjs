#!/usr/bin/env node
// `npm run test:network`: machines in network namespaces that become a mesh, work for each other, and
// all that can happen to them and to what travels between them. It takes minutes, so plain `npm test`
// has only meshes on loopback and the page's.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const files = ['mesh', 'mesh-placement', 'mesh-faults', 'mesh-values', 'mesh-lag'].map(
  (name) => `test/e2e/${name}.test.ts`,
)
const { status } = spawnSync(
  'npx',
  ['tap', 'run', '--jobs=1', ...process.argv.slice(2), ...files],
  {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, COMFYMESH_LONG_TESTS: '1' },
    stdio: 'inherit',
    // npx is a script on Windows.
    shell: process.platform === 'win32',
  },
)
process.exit(status ?? 1)
