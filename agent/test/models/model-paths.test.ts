import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  expandPath,
  joinModelPaths,
  modelPathsBelow,
  modelRoot,
  shippedModels,
} from '../../src/models/model-paths.ts'

const root = t.testdir({
  ComfyUI: { models: { checkpoints: {} } },
  plain: { checkpoints: {} },
  file: '',
})
const at = (...parts: string[]) => join(root, ...parts)
const context = { environment: { SD_HOME: '/sd' }, home: '/home/user', platform: 'linux' } as const

t.test('paths are expanded as Python does', async (t) => {
  t.equal(expandPath('~', context), '/home/user')
  t.equal(expandPath('~/a', context), '/home/user/a')
  t.equal(expandPath('~other/a', context), '~other/a')
  t.equal(expandPath('a~/b', context), 'a~/b')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's placeholder, not ours
  t.equal(expandPath('$SD_HOME/${SD_HOME}/$NOT_SET', context), '/sd//sd/$NOT_SET')
  t.equal(expandPath('%SD_HOME%', context), '%SD_HOME%')
  const windows = { ...context, home: 'C:\\Users\\me', platform: 'win32' } as const
  t.equal(expandPath('%SD_HOME%\\%NOT_SET%', windows), '/sd\\%NOT_SET%')
  t.equal(expandPath('~\\models', windows), 'C:\\Users\\me\\models')
})

t.test('a models folder and a whole ComfyUI are told apart', async (t) => {
  t.strictSame(modelRoot(at('ComfyUI')), {
    models: at('ComfyUI', 'models'),
    comfyui: at('ComfyUI'),
  })
  t.strictSame(modelRoot(at('plain')), { models: at('plain') })
  const refused = (message: RegExp) => ({ code: 'invalid_settings', message })
  t.throws(() => modelRoot(at('absent')), refused(/absent does not exist/))
  t.throws(() => modelRoot(at('file')), refused(/file is a file/))
})

t.test('earlier folders win and repeated ones count once', async (t) => {
  const joined = joinModelPaths({ loras: ['b'] }, modelPathsBelow('r'), { loras: ['b', 'a'] })
  t.strictSame(joined.loras, ['b', join('r', 'loras'), 'a'])
  t.strictSame(joined.diffusion_models, [join('r', 'unet'), join('r', 'diffusion_models')])
})

t.test('a model ships with the program', async (t) => {
  const shipped = readdirSync(join(shippedModels, 'checkpoints'))
  t.match(shipped, [/\.safetensors$/])
})
