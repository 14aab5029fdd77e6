import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  expandPath,
  joinModelPaths,
  modelPathsBelow,
  modelRoot,
  readExtraModelPaths,
  shippedModels,
} from '../../src/models/model-paths.ts'

const root = t.testdir({
  ComfyUI: { models: { checkpoints: {} } },
  plain: { checkpoints: {} },
  'extra.yaml': `
comfyui:
  base_path: ~/ComfyUI
  is_default: true
  checkpoints: models/checkpoints/
  clip: models/clip
  unet: |
    models/unet/

    models/diffusion_models/
  custom_nodes: custom_nodes/
webui:
  base_path: $SD_HOME/webui
  loras: |
    models/Lora
    /shared/loras
  vae:
no_base:
  embeddings: textual
  loras: [one, two]
empty:
`,
  'list.yaml': '- a\n- b\n',
  'section.yaml': 'checkpoints: models/checkpoints\n',
  'number.yaml': 'comfyui:\n  loras: 5\n',
  'broken.yaml': 'comfyui: [unclosed\n',
  'empty.yaml': '# nothing yet\n',
})
const at = (...parts: string[]) => join(root, ...parts)
const context = { environment: { SD_HOME: '/sd' }, home: '/home/user', platform: 'linux' } as const

// The paths of this file are POSIX.
const skip = process.platform === 'win32'

t.test("ComfyUI's extra_model_paths.yaml", { skip }, async (t) => {
  const { first, last, ignored } = readExtraModelPaths(at('extra.yaml'), context)
  t.strictSame(first, {
    checkpoints: ['/home/user/ComfyUI/models/checkpoints'],
    text_encoders: ['/home/user/ComfyUI/models/clip'],
    diffusion_models: [
      '/home/user/ComfyUI/models/unet',
      '/home/user/ComfyUI/models/diffusion_models',
    ],
  })
  t.strictSame(last, {
    loras: ['/sd/webui/models/Lora', '/shared/loras', at('one'), at('two')],
    vae: [],
    embeddings: [at('textual')],
  })
  t.strictSame(ignored, ['custom_nodes'])
})

t.test('files that are not such a file are refused with a reason', async (t) => {
  const refused = (file: string, message: RegExp) =>
    t.throws(() => readExtraModelPaths(at(file)), { code: 'invalid_settings', message }, file)
  refused('absent.yaml', /absent.yaml does not exist/)
  refused('list.yaml', /no sections/)
  refused('section.yaml', /`checkpoints` should be a section/)
  refused('number.yaml', /`comfyui.loras` should be a folder's path/)
  refused('broken.yaml', /not valid YAML/)
  t.strictSame(readExtraModelPaths(at('empty.yaml')), { first: {}, last: {}, ignored: [] })
})

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
  t.throws(() => modelRoot(at('absent')), { code: 'invalid_settings' })
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
