/** The floors of ARCHITECTURE.md: imports run strictly downwards. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const agent = fileURLToPath(new URL('../src', import.meta.url))
const protocol = fileURLToPath(new URL('../../protocol/src', import.meta.url))

/** The floor of each folder below agent/src; a file of the root stands above all of them. */
const floors: Record<string, number> = {
  base: 0,
  planning: 0,
  store: 1,
  telemetry: 1,
  mesh: 2,
  models: 2,
  tensors: 3,
  'executors/native': 3,
  'executors/comfyui': 3,
  execution: 4,
  doctor: 4,
  gateway: 5,
}
const ROOF = 6

/** Packages that only some folders may import: package -> folders. */
const confined: Record<string, readonly string[]> = {
  'onnxruntime-node': ['executors/native'],
  libp2p: ['mesh'],
  '@libp2p/': ['mesh'],
  '@chainsafe/': ['mesh'],
  fastify: ['gateway'],
  'prom-client': ['telemetry'],
  '@fastify/': ['gateway'],
  level: ['store'],
  '@napi-rs/blake-hash': ['base'],
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g

interface Import {
  readonly file: string
  readonly target: string
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(IMPORT)].map((match) => ({
    file,
    target: (match[1] ?? match[2] ?? match[3])!,
  }))
}

/** 'executors/native', 'base', ... ; '' for a file on the roof (agent.ts, main.ts, cli/). */
function folderOf(path: string): string {
  const parts = relative(agent, path).split(sep)
  const two = parts.slice(0, 2).join('/')
  if (two in floors) return two
  return parts.length > 1 && parts[0]! in floors ? parts[0]! : ''
}

/** What is wrong with one import, if anything. */
export function complaint({ file, target }: Import): string | undefined {
  const from = folderOf(file)
  const where = relative(agent, file)
  if (!target.startsWith('.')) {
    const rule = Object.entries(confined).find(([name]) =>
      name.endsWith('/')
        ? target.startsWith(name)
        : target === name || target.startsWith(`${name}/`),
    )
    if (rule && !rule[1].includes(from)) return `${where} imports ${target}: only ${rule[1]} may`
    return undefined
  }
  const to = resolve(dirname(file), target)
  const folder = folderOf(to)
  if (folder === from) return undefined
  const interfaceOfExecutors = relative(agent, to).split(sep).join('/') === 'executors/executor.ts'
  if (interfaceOfExecutors) {
    return (floors[from] ?? ROOF) >= 3 ? undefined : `${where} imports upwards: ${target}`
  }
  return (floors[folder] ?? ROOF) < (floors[from] ?? ROOF)
    ? undefined
    : `${where} (floor ${floors[from] ?? 'roof'}) imports ${relative(agent, to)} (floor ${floors[folder] ?? 'roof'})`
}

t.test('every folder below agent/src has a floor', async (t) => {
  for (const file of sources(agent)) {
    const parts = relative(agent, file).split(sep)
    if (parts.length === 1 || parts[0] === 'cli' || folderOf(file) !== '') continue
    t.equal(parts.join('/'), 'executors/executor.ts', `${parts.join('/')} stands on a floor`)
  }
})

t.test('imports run strictly downwards', async (t) => {
  const imports = sources(agent).flatMap(importsOf)
  t.ok(imports.length > 20, 'the test sees the imports')
  t.strictSame(imports.map(complaint).filter(Boolean), [])
})

t.test('protocol imports only itself and its schema library', async (t) => {
  const allowed = ['zod']
  const isOwn = ({ file, target }: Import) =>
    target.startsWith('.') && resolve(dirname(file), target).startsWith(protocol + sep)
  const foreign = sources(protocol)
    .flatMap(importsOf)
    .filter((one) => !isOwn(one) && !allowed.includes(one.target))
  t.strictSame(foreign, [])
})

t.test('the rules can fail', async (t) => {
  const at = (file: string, target: string) => complaint({ file: join(agent, file), target })
  t.ok(at('planning/plan.ts', '../store/database.ts'), 'upwards')
  t.ok(at('store/jobs.ts', '../telemetry/log.ts'), 'to a sibling')
  t.ok(at('gateway/server.ts', 'onnxruntime-node'), 'a confined package')
  t.ok(at('models/folders.ts', '../executors/executor.ts'), 'the executor interface from below')
  t.notOk(at('execution/job-runner.ts', '../executors/executor.ts'), 'the interface from above')
  t.notOk(at('agent.ts', './gateway/server.ts'), 'from the roof')
})
