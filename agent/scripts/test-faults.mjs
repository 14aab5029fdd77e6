#!/usr/bin/env node
// `npm run test:faults`: all that can happen to the machines of a mesh and to what travels between
// them, in network namespaces. Plain `npm test` takes only where work goes.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const files = ['mesh-placement', 'mesh-faults', 'mesh-values', 'mesh-lag'].map(
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
