/**
 * A program of the tests: an agent that lies as long as a file `lie` in its data folder names a
 * lie. It says that its stages succeeded and hands out something else than what they made, or it
 * says that they failed. The clock of its machine is a day ahead.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '@comfymesh/protocol/errors'
import { startAgent } from '../../src/agent.ts'
import { createBlobHasher } from '../../src/base/blob-hash.ts'
import { parseArguments, settingFlags, settingOptions } from '../../src/cli/arguments.ts'
import { loadSettings } from '../../src/cli/settings.ts'
import { greeting } from '../../src/cli/start.ts'
import type { Executor, MadeValue } from '../../src/executors/executor.ts'
import { createNativeExecutor } from '../../src/executors/native/native-executor.ts'

type Lie = (value: MadeValue) => Promise<MadeValue>

const lies: { readonly [name: string]: Lie } = {
  /** The hash is that of the true bytes. */
  async 'other bytes'(value) {
    const bytes = await readFile(value.path)
    bytes[bytes.length - 1]! ^= 1
    await writeFile(value.path, bytes)
    return value
  },
  /** The bytes are those of the hash, and no safetensors file. */
  async 'no value'(value) {
    const bytes = (await readFile(value.path)).fill(255)
    await writeFile(value.path, bytes)
    const hasher = createBlobHasher()
    hasher.update(bytes)
    return { ...value, ...hasher.finish() }
  },
  async 'other shape'(value) {
    const [first, ...others] = value.tensors
    return { ...value, tensors: [{ ...first!, shape: [...first!.shape].reverse() }, ...others] }
  },
  'other node': async (value) => ({ ...value, nodeId: 'another' }),
  async 'out of memory'() {
    throw new MeshError('out_of_memory', 'The device has no memory left.')
  },
}

function lying(executor: Executor, dataDir: string): Executor {
  const current = join(dataDir, 'lie')
  return {
    ...executor,
    async run(stage, options) {
      const result = await executor.run(stage, options)
      if (!existsSync(current)) return result
      const lie = lies[readFileSync(current, 'utf8')]!
      return { ...result, values: await Promise.all(result.values.map(lie)) }
    },
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const trueNow = Date.now
Date.now = () => trueNow() + DAY_MS

const given = parseArguments(settingOptions, process.argv.slice(3))
const settings = loadSettings({ flags: settingFlags(given) })
const { folders, dataDir, threads = 1 } = settings
const valuesFolder = join(dataDir, 'blobs', 'staging')
const executor = createNativeExecutor({ folders, valuesFolder, threads })
const agent = await startAgent(settings, { executor: lying(executor, dataDir) })
for (const line of greeting(agent, settings, process.env)) console.log(line)
for (const signal of ['SIGINT', 'disconnect'])
  process.once(signal, () => void agent.stop().then(() => process.exit()))
