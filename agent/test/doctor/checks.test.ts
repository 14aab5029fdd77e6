import { join } from 'node:path'
import t from 'tap'
import { examine } from '../../src/doctor/checks.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { checkDisk, checkFolders } from '../../src/doctor/folders.ts'
import { checkModels } from '../../src/doctor/model-files.ts'
import { checkModelPaths } from '../../src/doctor/model-paths.ts'
import { testSettings } from '../test-agent.ts'

const root = t.testdir({
  models: { checkpoints: { 'cut.safetensors': 'nonsense', 'old.ckpt': '' } },
  text_encoders: { 't5xxl.safetensors': 'nonsense', 'clip_l.bin': '' },
  unet: { 'flux.safetensors': 'nonsense' },
  file: 'not a folder',
  'paths.yaml': 'comfyui:\n  lora: models\n',
  'good.yaml': 'comfyui:\n  loras: models\n',
})
const settings = testSettings(root)

t.test('models that cannot be used are named with the reason', async (t) => {
  const findings = await checkModels(settings)
  t.match(findings[0], { state: 'ok', message: /checkpoints: 1, loras: 0, vae: 0, embeddings: 0/ })
  const cut = findings.filter(({ message }) => message.includes('cut.safetensors'))
  t.match(cut, [{ state: 'note', data: { name: 'checkpoints/cut.safetensors' } }])
  t.equal(cut[0]?.message.match(/cut\.safetensors/g)?.length, 1, 'the file is named once')
  t.match(findings.at(-1), { state: 'note', message: /^1 file is not shown.*a pickle.*old.ckpt/ })
})

t.test('networks in files of their own are examined as checkpoints are', async (t) => {
  const models = {
    ...settings.folders.models,
    diffusion_models: [join(root, 'unet')],
    text_encoders: [join(root, 'text_encoders')],
    // No node here loads any.
    controlnet: [join(root, 'unet')],
  }
  const findings = await checkModels({ ...settings, folders: { ...settings.folders, models } })
  t.match(findings[0], { message: /text_encoders: 1, diffusion_models: 1/ })
  const names = findings.flatMap(({ data }) => data?.name ?? [])
  t.strictSame(names.slice(1), [
    'text_encoders/t5xxl.safetensors',
    'diffusion_models/flux.safetensors',
  ])
  t.match(findings.at(-1), { message: /^2 files are not shown.*old\.ckpt.*clip_l\.bin/ })
})

t.test('what extra_model_paths.yaml names in vain', async (t) => {
  const [bad, good] = [join(root, 'paths.yaml'), join(root, 'good.yaml')]
  t.match(await checkModelPaths({ extraModelPaths: [bad, good] }), [
    {
      state: 'note',
      message: `${bad}: \`comfyui.lora\` is no kind of model`,
      advice: 'Did you mean `loras`?',
    },
    { state: 'ok', message: good },
  ])
})

t.test('folders that cannot be written to', async (t) => {
  const good = await checkFolders(settings)
  t.ok(good.every(({ state }) => state === 'ok'))
  const output = join(root, 'file', 'output')
  const bad = await checkFolders({ ...settings, folders: { ...settings.folders, output } })
  t.match(bad[1], { state: 'problem', advice: /--output-dir/ })
})

t.test('the disk of a data folder that is still to be made', async (t) => {
  const [finding] = await checkDisk({ ...settings, dataDir: join(root, 'not', 'yet') })
  t.match(finding, { check: 'Disk', message: /free where the data folder lies/ })
})

t.test('a check that fails is a note, and the next one is made', async (t) => {
  const findings: Finding[] = []
  const checks = [
    {
      name: 'Broken',
      check: async () => {
        throw new Error('no such tool')
      },
    },
    {
      name: 'Whole',
      check: async () => [{ check: 'Whole', state: 'ok', message: 'fine' } as const],
    },
  ]
  await examine(checks, settings, (finding) => findings.push(finding))
  t.match(findings, [
    { check: 'Broken', state: 'note', message: 'could not be examined: no such tool' },
    { check: 'Whole', state: 'ok' },
  ])
})
