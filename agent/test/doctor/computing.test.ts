import t from 'tap'
import { checkComputing, providerFindings } from '../../src/doctor/computing.ts'
import { testSettings } from '../test-agent.ts'

const report = { fusedAttention: false, halfPrecision: false }
const cpu = { ...report, name: 'cpu', ok: true } as const
const nvidia = { vendor: 'NVIDIA', model: 'GeForce RTX 4090', vram: 24576 }

t.test('an NVIDIA card without CUDA libraries', async (t) => {
  const reason = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'
  const [cuda, computing] = providerFindings(
    [{ ...report, name: 'cuda', ok: false, reason }, cpu],
    [nvidia],
  )
  t.match(cuda, { state: 'note', advice: 'Run `npm run cuda`.', message: /NVIDIA GPU found/ })
  t.match(computing, { state: 'ok', message: 'cpu computes correctly and is used' })
})

t.test('a provider that fails for another reason says it', async (t) => {
  const failed = { ...report, name: 'cuda', ok: false, reason: 'its numbers are wrong' } as const
  t.match(providerFindings([failed, cpu], [nvidia])[0], {
    state: 'note',
    message: /its numbers are wrong/,
  })
})

t.test('providers without hardware are no problem', async (t) => {
  const failed = { ...report, name: 'cuda', ok: false, reason: 'x' } as const
  const findings = providerFindings([failed, { ...failed, name: 'webgpu' }, cpu], [])
  t.ok(findings.every(({ state }) => state === 'ok'))
  t.match(findings[1], { message: /no hardware for cuda, webgpu/ })
})

t.test('the first provider that works is used', async (t) => {
  const cuda = { ...report, name: 'cuda', ok: true } as const
  const findings = providerFindings([cuda, cpu], [nvidia])
  t.match(findings[0], { message: 'cuda computes correctly and is used' })
  t.match(findings[1], { message: 'cpu computes correctly' })
})

t.test('nothing computes', async (t) => {
  const failed = { ...report, name: 'cpu', ok: false, reason: 'broken' } as const
  t.ok(providerFindings([failed], []).some(({ state }) => state === 'problem'))
  t.ok(providerFindings([], []).some(({ state }) => state === 'problem'))
})

t.test('a provider that the settings demand is the only one that counts', async (t) => {
  const reason = 'Failed to load shared library'
  const failed = { ...report, name: 'cuda', ok: false, reason } as const
  const [unmet, other] = providerFindings([failed, cpu], [], 'cuda')
  t.match(unmet, {
    state: 'problem',
    message:
      'the setting `provider` demands cuda, which cannot be used: Failed to load shared library',
    advice: /`npm run cuda`.*otherwise leave the setting out .*cpu is used/,
  })
  t.match(other, { state: 'ok', message: /^cpu computes correctly$/, data: { used: false } })
  const cuda = { ...report, name: 'cuda', ok: true } as const
  const met = providerFindings([cuda, cpu], [nvidia], 'cpu')
  t.match(met, [
    { message: /^cuda computes correctly$/ },
    { message: 'cpu computes correctly and is used, as the setting `provider` demands' },
  ])
})

t.test('a provider of another platform is tested where the settings demand it', async (t) => {
  const provider = process.platform === 'win32' ? 'coreml' : 'directml'
  const findings = await checkComputing({ ...testSettings(t.testdir({})), provider })
  const unmet = findings.find(({ state }) => state === 'problem')
  t.match(unmet, { message: new RegExp(`demands ${provider}, which cannot be used`) })
  t.notOk(findings.some(({ message }) => /is used/.test(message)))
})
