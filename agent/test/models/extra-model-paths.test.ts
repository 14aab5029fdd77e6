import { join } from 'node:path'
import t from 'tap'
import { doubtsAboutPaths, readExtraModelPaths } from '../../src/models/extra-model-paths.ts'

const root = t.testdir({
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
  'base.yaml': 'comfyui:\n  base_path: [here]\n',
  folder: {},
  'broken.yaml': 'comfyui: [unclosed\n',
  'empty.yaml': '# nothing yet\n',
  'doubtful.yaml': `
comfyui:
  base_path: /does/not/exist
  checkpoints: models/checkpoints
  loras: models/loras
five:
  base_path: 5
  vae: vae
here:
  base_path: .
  chekpoints: folder
  loras: |
    folder
    nope
  upscale_models: broken.yaml
  custom_nodes: custom_nodes
  ipadapter: ipadapter
`,
  'quoted.yaml': 'comfyui:\n  is_default: "true"\n  loras: folder\n',
})
const at = (...parts: string[]) => join(root, ...parts)
const context = { environment: { SD_HOME: '/sd' }, home: '/home/user', platform: 'linux' } as const

// The paths of this file are POSIX.
const skip = process.platform === 'win32'

t.test("ComfyUI's extra_model_paths.yaml", { skip }, async (t) => {
  const { first, last } = readExtraModelPaths(at('extra.yaml'), context)
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
})

t.test('files that are not such a file are refused with a reason', async (t) => {
  const refused = (file: string, message: RegExp) =>
    t.throws(() => readExtraModelPaths(at(file)), { code: 'invalid_settings', message }, file)
  refused('absent.yaml', /absent.yaml does not exist/)
  refused('list.yaml', /no sections/)
  refused('section.yaml', /section.yaml: `checkpoints` should be a section/)
  refused('base.yaml', /`comfyui.base_path` should be a folder's path/)
  refused('folder', /folder is a folder\. Name the file in it/)
  refused('number.yaml', /`comfyui.loras` should be a folder's path/)
  refused('broken.yaml', /not valid YAML/)
  t.strictSame(readExtraModelPaths(at('empty.yaml')), { first: {}, last: {} })
})

t.test('a section is the default by whatever Python takes for true', async (t) => {
  t.strictSame(readExtraModelPaths(at('quoted.yaml')).first, { loras: [at('folder')] })
})

t.test('folders that are missing and keys that are misspelt', { skip }, async (t) => {
  const told = doubtsAboutPaths(at('doubtful.yaml')).map(
    ({ name, message }) => `${name} ${message}`,
  )
  t.strictSame(told, [
    'comfyui.base_path names /does/not/exist, which does not exist',
    `five.base_path names ${at('5')}, which does not exist`,
    `here.loras names ${at('nope')}, which does not exist`,
    `here.upscale_models names ${at('broken.yaml')}, which is no folder`,
    'here.chekpoints is no kind of model',
  ])
  t.match(doubtsAboutPaths(at('doubtful.yaml')).at(-1), { advice: 'Did you mean `checkpoints`?' })
  t.strictSame(doubtsAboutPaths(at('quoted.yaml')), [])
})
