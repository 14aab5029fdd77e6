#!/usr/bin/env node
// `npm run test:frontends`: the browser tests with every official frontend that they know, or
// with those named as arguments. Plain `npm test` takes one.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [, , ...argv] = process.argv
const versions = argv.filter((argument) => !argument.startsWith('-'))
const options = argv.filter((argument) => argument.startsWith('-'))
const { status } = spawnSync('npx', ['tap', 'run', ...options, 'test/e2e/frontend.test.ts'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, COMFYMESH_TEST_FRONTENDS: versions.join(',') || 'all' },
  stdio: 'inherit',
  // npx is a script on Windows.
  shell: process.platform === 'win32',
})
process.exit(status ?? 1)
