/** What the runner's process loads before it can take a stage: every module delays the first one. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const STATIC_IMPORT =
  /^(?:import|export) (?!type )(?:[^'"]*? from )?['"]([^'"]+)['"]|^} from ['"]([^'"]+)['"]/gm

/** The packages and files that a module of ours loads, and those that these load. */
function loadedBy(file: URL, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file.href)) return loaded
  loaded.add(file.href)
  for (const match of readFileSync(fileURLToPath(file), 'utf8').matchAll(STATIC_IMPORT)) {
    const target = (match[1] ?? match[2])!
    const ours = target.replace(/^@comfymesh\/protocol\/(.*)$/, '../../../../protocol/src/$1.ts')
    if (target.startsWith('.')) loadedBy(new URL(target, file), loaded)
    else if (ours !== target) loadedBy(new URL(ours, import.meta.url), loaded)
    else loaded.add(target)
  }
  return loaded
}

const loaded = loadedBy(new URL('../../../src/executors/native/runner.ts', import.meta.url))
t.ok(loaded.has('onnxruntime-node'), 'the walk reaches the sessions')
t.notOk(loaded.has('zod'), 'schemas load with the first value that travels')
t.notOk(loaded.has('sharp'), 'and pictures with the first one')
