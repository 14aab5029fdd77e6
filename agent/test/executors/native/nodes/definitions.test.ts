import { readFileSync } from 'node:fs'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import type { NameLists } from '../../../../src/executors/native/node.ts'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import { modelKinds } from '../../../../src/models/folders.ts'

interface Definition {
  readonly input: {
    readonly [group: string]: { readonly [name: string]: [type: unknown, settings?: object] }
  }
  readonly [key: string]: unknown
}

/** What GET /object_info of ComfyUI 0.33 said; without tooltips and descriptions. */
const golden = parseJson(
  readFileSync(new URL('../../../goldens/object_info_core.json', import.meta.url), 'utf8'),
) as unknown as { nodes: Record<string, Definition>; extra_nodes: Record<string, Definition> }

const definitions = { ...golden.extra_nodes, ...golden.nodes }

/** Nodes that the recorded file does not hold. */
const unrecorded = [
  'PrimitiveInt',
  'PrimitiveFloat',
  'PrimitiveString',
  'PrimitiveStringMultiline',
  'PrimitiveBoolean',
  'ConditioningAverage',
  'ConditioningSetTimestepRange',
  'SaveImageWebsocket',
]

const name = 'some-name'

const lists: NameLists = { models: () => [name], inputFiles: () => [`${name}.png`] }

/** Inputs whose choices depend on the machine, or on which samplers exist here. */
const ownChoices = [
  'ckpt_name',
  'unet_name',
  'weight_dtype',
  'clip_name',
  'type',
  'vae_name',
  'lora_name',
  'image',
  'sampler_name',
]

/** The definition without tooltips, and without the choices that may differ. */
function comparable(definition: Definition): Definition {
  const copy = structuredClone(definition)
  for (const inputs of Object.values(copy.input)) {
    for (const [input, spec] of Object.entries(inputs)) {
      if (!Array.isArray(spec)) continue
      if (ownChoices.includes(input) && Array.isArray(spec[0])) spec[0] = []
      if (spec[1] !== undefined && 'tooltip' in spec[1]) delete spec[1].tooltip
    }
  }
  const { output_tooltips: _tooltips, search_aliases: _aliases, ...rest } = copy
  return rest as Definition
}

for (const row of nodeRows.values()) {
  const wanted = definitions[row.name]
  if (wanted === undefined) {
    t.ok(unrecorded.includes(row.name), `${row.name} is recorded, or known not to be`)
    continue
  }
  t.test(`${row.name} is defined as in ComfyUI`, async (t) => {
    const found = comparable(row.definition(lists) as unknown as Definition)
    const { description, ...defined } = found
    t.equal(typeof description, 'string')
    const { description: _unrecorded, ...recorded } = comparable(wanted)
    // Through JSON, as clients get it: 1 and 1.0 are one there.
    t.strictSame(parseJson(stringifyJson(defined)), recorded)
    t.strictSame(
      Object.entries(found.input).map(([group, inputs]) => [group, Object.keys(inputs)]),
      Object.entries(wanted.input).map(([group, inputs]) => [group, Object.keys(inputs)]),
      'the inputs in their order',
    )
  })
}

t.test('dropdowns offer what the machine has', async (t) => {
  const asked: string[] = []
  const spying: NameLists = {
    models: (kind) => {
      asked.push(kind)
      return [name]
    },
    inputFiles: () => [`${name}.png`],
  }
  const all = [...nodeRows.values()].map((row) => row.definition(spying))
  t.ok(stringifyJson(all).includes(`["${name}"`), 'models')
  t.ok(stringifyJson(all).includes(`["${name}.png"]`), 'pictures')
  t.ok(asked.every((kind) => kind in modelKinds))
})

t.test('every node of the issue is there', async (t) => {
  const missing = [...Object.keys(definitions), ...unrecorded].filter((node) => !nodeRows.has(node))
  t.same(
    missing.filter((node) => issueNodes.includes(node)),
    [],
  )
})

const issueNodes = `
  CheckpointLoaderSimple VAELoader LoraLoader LoraLoaderModelOnly CLIPTextEncode CLIPSetLastLayer
  ConditioningCombine ConditioningConcat ConditioningAverage ConditioningSetArea ConditioningSetMask
  ConditioningZeroOut ConditioningSetTimestepRange EmptyLatentImage KSampler KSamplerAdvanced
  VAEDecode VAEDecodeTiled VAEEncode VAEEncodeForInpaint SetLatentNoiseMask LatentUpscale
  LatentUpscaleBy LatentComposite LatentBlend LatentFromBatch RepeatLatentBatch LatentFlip
  LatentRotate LatentCrop LoadImage LoadImageMask SaveImage PreviewImage EmptyImage ImageScale
  ImageScaleBy ImageCrop ImageInvert ImageBatch ImageFromBatch RepeatImageBatch ImageBlend ImageBlur
  ImageSharpen ImageQuantize ImagePadForOutpaint ImageCompositeMasked MaskToImage ImageToMask
  PrimitiveInt PrimitiveFloat PrimitiveString PrimitiveBoolean
`
  .trim()
  .split(/\s+/)
