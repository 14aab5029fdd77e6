/** The autoencoder's two naming schemes: diffusers' files are read under ldm's names. */
import type { Safetensors } from './safetensors.ts'

/** From diffusers' names of modules to ldm's; applied in order. */
const renamings: readonly (readonly [RegExp, string])[] = [
  [/\.mid_block\.attentions\.0\.group_norm\./, '.mid.attn_1.norm.'],
  [/\.mid_block\.attentions\.0\.(?:to_q|query)\./, '.mid.attn_1.q.'],
  [/\.mid_block\.attentions\.0\.(?:to_k|key)\./, '.mid.attn_1.k.'],
  [/\.mid_block\.attentions\.0\.(?:to_v|value)\./, '.mid.attn_1.v.'],
  [/\.mid_block\.attentions\.0\.(?:to_out\.0|proj_attn)\./, '.mid.attn_1.proj_out.'],
  [/\.mid_block\.resnets\.0\./, '.mid.block_1.'],
  [/\.mid_block\.resnets\.1\./, '.mid.block_2.'],
  [/\.down_blocks\.(\d+)\.resnets\./, '.down.$1.block.'],
  [/\.down_blocks\.(\d+)\.downsamplers\.0\./, '.down.$1.downsample.'],
  [/\.up_blocks\.(\d+)\.resnets\./, '.up.$1.block.'],
  [/\.up_blocks\.(\d+)\.upsamplers\.0\./, '.up.$1.upsample.'],
  [/\.conv_norm_out\./, '.norm_out.'],
  [/\.conv_shortcut\./, '.nin_shortcut.'],
]

/** The file with ldm's names where it is an autoencoder in diffusers' format, else as it is. */
export function fromDiffusersVae(file: Safetensors): Safetensors {
  const names = [...file.tensors.keys()]
  if (!names.some((name) => /^(?:encoder|decoder)\.(?:mid|down|up)_block/.test(name))) return file
  const levels = new Set(names.map((name) => /^decoder\.up_blocks\.(\d+)\./.exec(name)?.[1]))
  levels.delete(undefined)
  const rename = (name: string) =>
    renamings
      .reduce((renamed, [pattern, to]) => renamed.replace(pattern, to), name)
      // diffusers counts the decoder's levels in the order of computing, ldm by resolution.
      .replace(/\.up\.(\d+)\./, (_, level) => `.up.${levels.size - 1 - Number(level)}.`)
  return { ...file, tensors: new Map([...file.tensors].map(([name, it]) => [rename(name), it])) }
}
