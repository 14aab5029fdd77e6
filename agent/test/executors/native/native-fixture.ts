/** Native executors for tests, with empty folders and the odd nodes of test-rows.ts. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  createNativeExecutor,
  type NativeExecutor,
  type NativeExecutorOptions,
} from '../../../src/executors/native/native-executor.ts'
import type { FolderSettings } from '../../../src/models/folders.ts'
import { testRows } from './test-rows.ts'

export function testFolders(t: Test): FolderSettings {
  const root = t.testdir()
  const folder = (name: string): string => {
    const path = join(root, name)
    mkdirSync(path, { recursive: true })
    return path
  }
  return {
    models: {
      checkpoints: [folder('checkpoints')],
      loras: [folder('loras')],
      vae: [folder('vae')],
      embeddings: [folder('embeddings')],
    },
    input: folder('input'),
    output: folder('output'),
    temp: folder('temp'),
  }
}

/** An executor over the test rows; the caller stops it. */
export function testExecutorOf(
  t: Test,
  options: Partial<NativeExecutorOptions> = {},
): NativeExecutor {
  return createNativeExecutor(
    { folders: testFolders(t), provider: 'cpu', threads: 1, ...options },
    { rows: testRows, runnerEntry: new URL('./test-runner.ts', import.meta.url) },
  )
}
