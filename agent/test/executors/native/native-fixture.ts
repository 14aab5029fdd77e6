/** Native executors for tests, with empty folders and the odd nodes of test-rows.ts. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { Test } from 'tap'
import {
  createNativeExecutor,
  type NativeExecutor,
  type NativeExecutorOptions,
} from '../../../src/executors/native/native-executor.ts'
import type { FolderSettings } from '../../../src/models/folders.ts'
import type { SuiteNode } from '../executor-suite.ts'
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

/** ComfyUI's default prompt for two pictures: 1 loader, 2 latent, 3 and 4 texts, 5 sampler, 6 decoder, 7 save. */
export function textToImageNodes(
  model: { readonly name: string; readonly width: number; readonly height: number },
  sampling: { readonly [input: string]: JsonValue },
): SuiteNode[] {
  const { name, width, height } = model
  const links = {
    model: ['1', 0],
    positive: ['3', 0],
    negative: ['4', 0],
    latent_image: ['2', 0],
  }
  return [
    { classType: 'CheckpointLoaderSimple', inputs: { ckpt_name: name } },
    { classType: 'EmptyLatentImage', inputs: { width, height, batch_size: 2 } },
    { classType: 'CLIPTextEncode', inputs: { text: 'a (red:1.2) circle', clip: ['1', 1] } },
    { classType: 'CLIPTextEncode', inputs: { text: '', clip: ['1', 1] } },
    { classType: 'KSampler', inputs: { ...sampling, cfg: 7, denoise: 1, ...links } },
    { classType: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    { classType: 'SaveImage', inputs: { filename_prefix: 'test', images: ['6', 0] } },
  ]
}
