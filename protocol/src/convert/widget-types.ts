/** Which inputs ComfyUI's frontend shows as widgets, and what those hold. */
import type { JsonObject, JsonValue } from '../json.ts'
import type { InputSpec } from '../workflow.ts'

/** Types with a widget, and what it holds where the definition names no default. */
const widgetDefaults: { readonly [type: string]: JsonValue | undefined } = {
  INT: 0,
  FLOAT: 0,
  STRING: '',
  BOOLEAN: false,
  COMBO: undefined,
  COLOR: '#000000',
  BOUNDING_BOX: { x: 0, y: 0, width: 512, height: 512 },
  CURVE: {
    points: [
      [0, 0],
      [1, 1],
    ],
    interpolation: 'monotone_cubic',
  },
  RANGE: { min: 0, max: 1 },
  PAINTER: '',
  GALLERIA: undefined,
  CHART: undefined,
  IMAGECOMPARE: undefined,
  TEXTAREA: '',
  MARKDOWN: '',
  IMAGEUPLOAD: undefined,
  AUDIO_UI: '',
  AUDIOUPLOAD: undefined,
  AUDIO_RECORD: '',
  WEBCAM: undefined,
  LOAD_3D: '',
  PREVIEW_3D: '',
  COMFY_DYNAMICCOMBO_V3: undefined,
}

export const settingsOf = ([, settings]: InputSpec): JsonObject => settings ?? {}

/** A list of options is a combo; `widgetType` says what an input looks like, whatever it takes. */
export function typeOf([type]: InputSpec): string {
  return typeof type === 'string' ? type : 'COMBO'
}

/**
 * @param forced counts what would be a widget, were it not declared to be filled by links only.
 */
export function isWidget(
  spec: InputSpec,
  isOptional: boolean,
  { forced = false }: { readonly forced?: boolean } = {},
): boolean {
  const { forceInput, defaultInput, widgetType } = settingsOf(spec)
  const isForced = Boolean(forceInput) || (isOptional && Boolean(defaultInput))
  const type = typeof widgetType === 'string' ? widgetType : typeOf(spec)
  return (forced || !isForced) && Object.hasOwn(widgetDefaults, type)
}

/** What may be chosen. */
export function optionsOf([type, settings]: InputSpec): readonly JsonValue[] {
  if (typeof type !== 'string') return type
  const options = settings?.options
  if (!Array.isArray(options)) return []
  if (type !== 'COMFY_DYNAMICCOMBO_V3') return options
  return options.flatMap((option) => {
    const key = typeof option === 'object' && option !== null && 'key' in option && option.key
    return typeof key === 'string' ? [key] : []
  })
}

/** What a new widget holds. */
export function defaultOf(spec: InputSpec): JsonValue | undefined {
  const settings = settingsOf(spec)
  if (settings.default !== undefined) return settings.default
  if (isMultiple(spec)) return []
  const type = typeof settings.widgetType === 'string' ? settings.widgetType : typeOf(spec)
  return isChoice(spec) ? optionsOf(spec)[0] : widgetDefaults[type]
}

/** A box shows its four numbers in widgets of their own. */
const BOX_SLOTS = 4

/**
 * How many saved values behind a widget's own are not inputs: what happens to a number after
 * each run, and for a choice also a filter. A seed has it unless its definition says otherwise.
 */
export function controlSlots(name: string, spec: InputSpec): number {
  const { control_after_generate: control } = settingsOf(spec)
  const type = typeOf(spec)
  if (type === 'INT') return (control ?? (name === 'seed' || name === 'noise_seed')) ? 1 : 0
  if (type === 'FLOAT') return control ? 1 : 0
  if (type === 'BOUNDING_BOX') return BOX_SLOTS
  return type === 'COMBO' && control ? 2 : 0
}

/** Whether the first of those places says what happens after each run; a box has none. */
export const hasControl = (spec: InputSpec): boolean => typeOf(spec) !== 'BOUNDING_BOX'

const SAMPLERS: ReadonlySet<string> = new Set(['KSampler', 'KSamplerAdvanced'])

/** A saved value as the frontend reads it: old names of samplers, choices that were never made. */
export function valueInPrompt(
  classType: string,
  { name, spec, value }: { name: string; spec: InputSpec; value: JsonValue | undefined },
): JsonValue | undefined {
  if (value === null && isChoice(spec) && !isMultiple(spec)) return optionsOf(spec)[0]
  const isOldSampler =
    SAMPLERS.has(classType) && name === 'sampler_name' && String(value).startsWith('sample_')
  return isOldSampler ? String(value).slice('sample_'.length) : value
}

const isChoice = (spec: InputSpec): boolean =>
  typeOf(spec) === 'COMBO' || typeOf(spec) === 'COMFY_DYNAMICCOMBO_V3'

const isMultiple = (spec: InputSpec): boolean =>
  isChoice(spec) && Boolean(settingsOf(spec).multiselect ?? settingsOf(spec).multi_select)
