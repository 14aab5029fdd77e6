/** What an agent warns of after its greeting. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AgentSettings } from '../../src/agent.ts'
import { tellDoubts } from '../../src/cli/start-doubts.ts'
import { testSettings } from '../test-agent.ts'

/** Resolves with the first warning. */
function warningOf(t: Test, settings: AgentSettings): Promise<string> {
  return new Promise((resolve) => {
    t.capture(console, 'error', (line: string) => resolve(line))
    tellDoubts(settings, { signal: new AbortController().signal, patienceMs: 0 })
  })
}

t.test('lines of extra_model_paths.yaml that do nothing', async (t) => {
  const root = t.testdir({ 'paths.yaml': 'a:\n  loras: nope\n', 'good.yaml': 'a:\n  loras: .\n' })
  const [good, file] = [join(root, 'good.yaml'), join(root, 'paths.yaml')]
  const warning = await warningOf(t, { ...testSettings(root), extraModelPaths: [good, file] })
  t.equal(
    warning,
    `Warning: 1 folder or key in ${file} cannot be used; \`comfymesh doctor\` says which and why.`,
  )
})

t.test('an extra_model_paths.yaml that went away after the start', async (t) => {
  const root = t.testdir({})
  const file = join(root, 'paths.yaml')
  const warning = await warningOf(t, { ...testSettings(root), extraModelPaths: [file] })
  t.equal(warning, `${file} does not exist.`)
})

t.test('model files that cannot be used', async (t) => {
  const root = t.testdir({ models: { checkpoints: { 'cut.safetensors': 'nonsense' } } })
  const warning = await warningOf(t, testSettings(root))
  t.match(warning, /^Warning: 1 model file cannot be used; `comfymesh doctor`/)
})

t.test('a provider that is demanded and cannot be used', async (t) => {
  const provider = process.platform === 'win32' ? 'coreml' : 'directml'
  const warning = await warningOf(t, { ...testSettings(join(t.testdir({}), 'data')), provider })
  t.match(
    warning,
    new RegExp(`^Warning: .* demands ${provider}, .*No model runs here\\. Leave`, 's'),
  )
})
