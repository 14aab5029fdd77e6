/**
 * How LoRA files call the modules of a checkpoint. Trainers use two module trees (the original
 * one of Stable Diffusion and that of diffusers), dots or underscores, and many prefixes;
 * everything is compared with underscores and without prefix.
 */

import { clipTensors } from '../../../models/clip-config.ts'
import type { Checkpoint } from '../../../models/family.ts'
import { type UnetBlock, type UnetConfig, unetTensors } from '../../../models/unet-config.ts'

/** Finds the path of a checkpoint's module (a weight's name less `.weight`) by a LoRA's name for it. */
export type ModuleNames = (loraName: string) => string | undefined

/** Prefixes that name the network, longest first, in the underscored form. */
const unetPrefixes = [
  'unet_base_model_model_',
  'base_model_model_',
  'model_diffusion_model_',
  'diffusion_model_',
  'lora_unet_',
  'lycoris_',
  'unet_',
  '',
]
const textPrefixes = [
  'text_encoders_clip_l_transformer_',
  'text_encoder_base_model_model_',
  'base_model_model_',
  'text_encoder_',
  'lora_te1_',
  'lora_te_',
]

export function moduleNames(checkpoint: Checkpoint): ModuleNames {
  const unet = checkpoint.unet ? unetModules(checkpoint.unet) : new Map<string, string>()
  const text = new Map<string, string>()
  if (checkpoint.textEncoder) {
    const { root } = checkpoint.textEncoder
    for (const [name] of clipTensors(checkpoint.textEncoder)) {
      const module = moduleOf(name)
      if (!module) continue
      text.set(underscored(module.replace(`${root}.`, 'text_model.')), module)
    }
  }
  return (loraName) => {
    const name = underscored(loraName.replace('.processor.', '.')).replace(/_to_out$/, '_to_out_0')
    return withoutPrefix(name, unetPrefixes, unet) ?? withoutPrefix(name, textPrefixes, text)
  }
}

/** Whether a LoRA's tensor is one for the text encoder, whatever the checkpoint has. */
export function isForTextEncoder(tensorName: string): boolean {
  const name = underscored(tensorName)
  return textPrefixes.some((prefix) => name.startsWith(`${prefix}text_model_`))
}

function withoutPrefix(
  name: string,
  prefixes: readonly string[],
  modules: ReadonlyMap<string, string>,
): string | undefined {
  for (const prefix of prefixes) {
    const module = name.startsWith(prefix) ? modules.get(name.slice(prefix.length)) : undefined
    if (module !== undefined) return module
  }
  return undefined
}

/** Underscored names in both module trees to paths in the checkpoint. */
function unetModules(unet: UnetConfig): Map<string, string> {
  const renamed = diffusersPaths(unet)
  const modules = new Map<string, string>()
  for (const [name] of unetTensors(unet)) {
    const path = moduleOf(name)
    if (!path) continue
    const relative = path.slice(unet.root.length + 1)
    modules.set(underscored(relative), path)
    const [layer, diffusersLayer] = renamed.find(
      ([from]) => relative === from || relative.startsWith(`${from}.`),
    ) ?? ['', '']
    modules.set(underscored(diffusersLayer + relative.slice(layer.length)), path)
  }
  return modules
}

function moduleOf(tensorName: string): string | undefined {
  return tensorName.endsWith('.weight') ? tensorName.slice(0, -'.weight'.length) : undefined
}

function underscored(name: string): string {
  return name.replaceAll('.', '_')
}

type Renaming = readonly [original: string, diffusers: string]

/** Where the layers of the original tree stand in that of diffusers. */
function diffusersPaths(unet: UnetConfig): Renaming[] {
  return [
    ['time_embed.0', 'time_embedding.linear_1'],
    ['time_embed.2', 'time_embedding.linear_2'],
    ['input_blocks.0.0', 'conv_in'],
    ['out.0', 'conv_norm_out'],
    ['out.2', 'conv_out'],
    ...levelPaths(unet, unet.inputBlocks.slice(1), 'down_blocks'),
    ...layerPaths(unet, unet.middleBlock, 'mid_block', 0),
    ...levelPaths(unet, unet.outputBlocks, 'up_blocks'),
  ]
}

/** diffusers groups the blocks into levels, each ending with the change of resolution. */
function levelPaths(unet: UnetConfig, blocks: readonly UnetBlock[], side: string): Renaming[] {
  let level = 0
  let index = 0
  return blocks.flatMap((block) => {
    const paths = layerPaths(unet, block, `${side}.${level}`, index)
    index++
    if (block.some(({ kind }) => kind === 'downsample' || kind === 'upsample')) {
      level++
      index = 0
    }
    return paths
  })
}

function layerPaths(unet: UnetConfig, block: UnetBlock, level: string, first: number): Renaming[] {
  let residuals = first
  let transformers = first
  return block.flatMap(({ kind, name }): Renaming[] => {
    const original = name.slice(unet.root.length + 1)
    switch (kind) {
      case 'residual':
        return residualPaths(original, `${level}.resnets.${residuals++}`)
      case 'transformer':
        return [[original, `${level}.attentions.${transformers++}`]]
      case 'downsample':
        return [[`${original}.op`, `${level}.downsamplers.0.conv`]]
      case 'upsample':
        return [[`${original}.conv`, `${level}.upsamplers.0.conv`]]
      default:
        return []
    }
  })
}

function residualPaths(original: string, diffusers: string): Renaming[] {
  return [
    [`${original}.in_layers.0`, `${diffusers}.norm1`],
    [`${original}.in_layers.2`, `${diffusers}.conv1`],
    [`${original}.emb_layers.1`, `${diffusers}.time_emb_proj`],
    [`${original}.out_layers.0`, `${diffusers}.norm2`],
    [`${original}.out_layers.3`, `${diffusers}.conv2`],
    [`${original}.skip_connection`, `${diffusers}.conv_shortcut`],
  ]
}
