/**
 * Low-rank and other small adaptations of a checkpoint, as their files hold them:
 * which tensors belong together and to which weight. weights.ts puts them into a graph.
 */
import type { Checkpoint } from '../../../models/family.ts'
import { countElements, type Safetensors } from '../../../models/safetensors.ts'
import { readTensors } from '../../../models/tensor-values.ts'
import { moduleNames } from './lora-names.ts'

/** Names of tensors in the LoRA's file; `scale` is alpha / rank. */
export type Patch =
  | {
      readonly kind: 'low-rank'
      readonly scale: number
      readonly up: string
      readonly down: string
      /** The core of a Tucker decomposition, [rank, rank, height, width]. */
      readonly mid?: string
      /** Makes it a DoRA: the magnitudes that the adapted weight gets. */
      readonly magnitude?: string
    }
  | {
      /** LoHa: the elementwise product of two low-rank matrices. */
      readonly kind: 'hadamard'
      readonly scale: number
      readonly factors: readonly [LowRankFactor, LowRankFactor]
      readonly magnitude?: string
    }
  | {
      /** LoKr: the Kronecker product of two matrices, each whole or low-rank. */
      readonly kind: 'kronecker'
      readonly scale: number
      readonly factors: readonly [LowRankFactor | string, LowRankFactor | string]
      readonly magnitude?: string
    }
  | {
      /** What is added to the weight. */
      readonly kind: 'difference'
      readonly scale: number
      readonly tensor: string
      readonly magnitude?: never
    }

/** a [m, rank] times b [rank, n]; with a core, `a` is transposed, [rank, m]. */
export interface LowRankFactor {
  readonly a: string
  readonly b: string
  readonly core?: string
}

/** A LoRA file, read up to its scalars and matched to a checkpoint. */
export interface Lora {
  readonly file: Safetensors
  /** By name of the checkpoint's tensor. */
  readonly patches: ReadonlyMap<string, Patch>
  /** Tensor names that belong to no layer of the checkpoint, of which the user is warned; ComfyUI logs them as not loaded. */
  readonly unmatched: readonly string[]
}

/** Suffixes of the tensor names, by the part they play; trainers agree on little. */
const parts: readonly (readonly [RegExp, string])[] = [
  [/\.lora_up\.weight$|[._]lora\.up\.weight$|\.lora_linear_layer\.up\.weight$/, 'up'],
  [/\.lora_B(?:\.default)?(?:\.weight)?$/, 'up'],
  [/\.lora_down\.weight$|[._]lora\.down\.weight$|\.lora_linear_layer\.down\.weight$/, 'down'],
  [/\.lora_A(?:\.default)?(?:\.weight)?$/, 'down'],
  [/\.lora_mid\.weight$/, 'mid'],
  [/\.alpha$/, 'alpha'],
  [/\.dora_scale$|\.lora_magnitude_vector(?:\.default)?(?:\.weight)?$/, 'magnitude'],
  [/\.(?:diff|w_norm)$/, 'diff'],
  [/\.(?:diff_b|b_norm)$/, 'diff_b'],
  [/\.(?=(?:hada_w[12]_[ab]|hada_t[12]|lokr_w[12]|lokr_w[12]_[ab]|lokr_t2)$)/, ''],
]

/** The tensors of one module, part -> tensor name. */
type Parts = Map<string, string>

/**
 * Reads which weights of the checkpoint a LoRA adapts and how.
 * Layers that the checkpoint lacks or that do not fit its shapes are listed, not fatal,
 * as in ComfyUI; so are kinds of adaptation that the graphs do not know (OFT, GLoRA).
 * @throws MeshError `malformed_file`
 */
export async function openLora(file: Safetensors, checkpoint: Checkpoint): Promise<Lora> {
  const moduleOf = moduleNames(checkpoint)
  const patches = new Map<string, Patch>()
  const used = new Set<string>()
  const grouped = groupByModule(file)
  const alphas = await readAlphas(file, grouped)
  for (const [loraName, members] of grouped) {
    const module = moduleOf(loraName)
    if (module === undefined) continue
    const found: [string, Patch | undefined][] = [
      [`${module}.weight`, readPatch(file, members, alphas)],
      [`${module}.bias`, differencePatch(members.get('diff_b'))],
    ]
    for (const [target, patch] of found) {
      const shape = checkpoint.file.tensors.get(target)?.shape
      if (!patch || !shape || patches.has(target) || !fits(file, patch, shape)) continue
      patches.set(target, patch)
      for (const tensor of tensorsOf(patch)) used.add(tensor)
      const alpha = members.get('alpha')
      if (alpha !== undefined) used.add(alpha)
    }
  }
  return { file, patches, unmatched: [...file.tensors.keys()].filter((name) => !used.has(name)) }
}

function groupByModule(file: Safetensors): Map<string, Parts> {
  const modules = new Map<string, Parts>()
  for (const name of file.tensors.keys()) {
    for (const [suffix, part] of parts) {
      const match = suffix.exec(name)
      if (!match) continue
      const module = name.slice(0, match.index)
      const members = modules.get(module) ?? new Map<string, string>()
      members.set(part || name.slice(match.index + 1), name)
      modules.set(module, members)
      break
    }
  }
  return modules
}

type Alphas = ReadonlyMap<string, Float32Array>

function readAlphas(file: Safetensors, modules: ReadonlyMap<string, Parts>): Promise<Alphas> {
  const names = [...modules.values()].map((members) => members.get('alpha'))
  return readTensors(
    file,
    names.filter((name) => name !== undefined),
  )
}

function readPatch(file: Safetensors, members: Parts, alphas: Alphas): Patch | undefined {
  const rankOf = (name: string | undefined) => file.tensors.get(name ?? '')?.shape[0] ?? 1
  const alpha = alphas.get(members.get('alpha') ?? '')?.[0]
  const scaled = (rank: number) => (alpha === undefined ? 1 : alpha / rank)
  const magnitude = optional('magnitude', members.get('magnitude'))

  const [up, down] = [members.get('up'), members.get('down')]
  if (up && down) {
    const mid = optional('mid', members.get('mid'))
    return { kind: 'low-rank', scale: scaled(rankOf(down)), up, down, ...mid, ...magnitude }
  }
  const hadamard = [1, 2].map((side) => lowRankFactor(members, `hada_w${side}`, `hada_t${side}`))
  if (hadamard[0] && hadamard[1]) {
    const scale = scaled(rankOf(hadamard[0].b))
    return { kind: 'hadamard', scale, factors: [hadamard[0], hadamard[1]], ...magnitude }
  }
  const kronecker = [1, 2].map(
    (side) =>
      members.get(`lokr_w${side}`) ?? lowRankFactor(members, `lokr_w${side}`, `lokr_t${side}`),
  )
  if (kronecker[0] && kronecker[1]) {
    const factors = [kronecker[0], kronecker[1]] as const
    // The rank of the last factor that has one counts; without any, alpha means nothing.
    const lowRank = factors.findLast((factor) => typeof factor !== 'string')
    const scale = lowRank ? scaled(rankOf(lowRank.b)) : 1
    return { kind: 'kronecker', scale, factors, ...magnitude }
  }
  return differencePatch(members.get('diff'))
}

function lowRankFactor(members: Parts, name: string, core: string): LowRankFactor | undefined {
  const [a, b] = [members.get(`${name}_a`), members.get(`${name}_b`)]
  return a && b ? { a, b, ...optional('core', members.get(core)) } : undefined
}

function differencePatch(tensor: string | undefined): Patch | undefined {
  return tensor === undefined ? undefined : { kind: 'difference', scale: 1, tensor }
}

function optional<K extends string>(key: K, name: string | undefined): { [k in K]?: string } {
  return (name === undefined ? {} : { [key]: name }) as { [k in K]?: string }
}

function tensorsOf(patch: Patch): string[] {
  const { magnitude } = patch
  const own =
    patch.kind === 'low-rank'
      ? [patch.up, patch.down, patch.mid]
      : patch.kind === 'difference'
        ? [patch.tensor]
        : patch.factors.flatMap((factor) =>
            typeof factor === 'string' ? [factor] : [factor.a, factor.b, factor.core],
          )
  return [...own, magnitude].filter((name) => name !== undefined)
}

/** Whether a patch yields as many elements as the weight has, in fitting rows. */
function fits(file: Safetensors, patch: Patch, shape: readonly number[]): boolean {
  const shapeOf = (name: string) => file.tensors.get(name)!.shape
  const rows = shape[0]!
  const columns = countElements(shape.slice(1))
  const product = (factor: LowRankFactor | string): [number, number] => {
    if (typeof factor === 'string') {
      const [height = 1, ...rest] = shapeOf(factor)
      return [height, countElements(rest)]
    }
    const [a, b] = [shapeOf(factor.a), shapeOf(factor.b)]
    if (!factor.core) {
      return a[1] === b[0] ? [a[0]!, countElements(b.slice(1))] : [Number.NaN, Number.NaN]
    }
    const core = shapeOf(factor.core)
    const matches = core.length === 4 && core[0] === a[0] && core[1] === b[0]
    return matches ? [a[1]!, b[1]! * core[2]! * core[3]!] : [Number.NaN, Number.NaN]
  }
  const equal = ([height, width]: readonly number[]) => height === rows && width === columns
  switch (patch.kind) {
    case 'low-rank': {
      const [up, down] = [shapeOf(patch.up), shapeOf(patch.down)]
      if (!patch.mid) return up[1] === down[0] && equal([up[0]!, countElements(down.slice(1))])
      const mid = shapeOf(patch.mid)
      const kernel = countElements(mid.slice(2))
      return up[1] === mid[0] && mid[1] === down[0] && equal([up[0]!, down[1]! * kernel])
    }
    case 'hadamard':
      return patch.factors.every((factor) => equal(product(factor)))
    case 'kronecker': {
      const [first, second] = patch.factors.map(product) as [[number, number], [number, number]]
      return equal([first[0] * second[0], first[1] * second[1]])
    }
    case 'difference':
      return countElements(shapeOf(patch.tensor)) === rows * columns
  }
}
