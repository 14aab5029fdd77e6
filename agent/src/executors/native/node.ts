/**
 * The shape of a node row: ComfyUI's definition and the code that runs it.
 * The rows themselves stand in nodes/, one file a category.
 */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { InputSpec, InputSpecs, NodeDefinition, NodeId } from '@comfymesh/protocol/workflow'
import type { ModelFolders, ModelKind } from '../../models/folders.ts'
import type { HandedPicture, Picture } from '../executor.ts'
import type { ModelSessions } from './models.ts'
import type { ValueTypes } from './values.ts'

/** What the dropdowns of node definitions are filled with at the moment of asking. */
export interface NameLists {
  models(kind: ModelKind): string[]
  /** Names of the files in the input folder, subfolders included. */
  inputFiles(): string[]
}

/** What a running node may use. */
export interface NodeContext {
  readonly nodeId: NodeId
  readonly models: ModelSessions
  readonly folders: ModelFolders
  /** Tells the user of something that was ignored though the node goes on. */
  warn(message: string): void
  /**
   * Reports a step and lets a cancellation through.
   * `preview` is called only when a preview is due, so that unsent ones cost nothing, and what it
   * makes is not waited for.
   * @throws MeshError `interrupted`
   */
  progress(value: number, max: number, preview?: () => Promise<Picture>): Promise<void>
  /** For loops that report no steps. @throws MeshError `interrupted` */
  throwIfCancelled(): Promise<void>
}

/** What a node that shows something returns; others return just their outputs. */
export interface NodeShow {
  readonly outputs: readonly unknown[]
  readonly pictures?: readonly HandedPicture[]
  readonly ui?: JsonObject
}

/** The value that an input of this spec receives. 64-bit seeds may be bigints. */
export type ValueOf<S> = S extends readonly ['INT', { readonly control_after_generate: true }]
  ? number | bigint
  : S extends readonly ['COMBO', { readonly options: readonly (infer U)[] }]
    ? U
    : S extends readonly [infer T, ...unknown[]]
      ? T extends keyof ValueTypes
        ? ValueTypes[T]
        : T extends readonly (infer U)[]
          ? U
          : unknown
      : unknown

interface Inputs {
  readonly required?: InputSpecs
  readonly optional?: InputSpecs
  readonly hidden?: { readonly [name: string]: string }
}

type Specs<T> = T extends InputSpecs ? T : Record<never, InputSpec>

export type InputValues<I extends Inputs> = {
  readonly [K in keyof Specs<I['required']>]: ValueOf<Specs<I['required']>[K]>
} & { readonly [K in keyof Specs<I['optional']>]?: ValueOf<Specs<I['optional']>[K]> }

/** See InputValidation of the executor interface; this one is told the folders as well. */
export interface NodeValidation {
  readonly inputs: readonly string[]
  check(constants: JsonObject, folders: ModelFolders): Promise<string | undefined>
}

/** A row as its author writes it; `defineNode` completes it. */
export interface NodeAuthoring<I extends Inputs> {
  readonly name: string
  readonly displayName: string
  readonly category: string
  readonly description?: string
  /** ComfyUI's python_module: 'nodes' unless it lives in comfy_extras. */
  readonly pythonModule?: string
  inputs(lists: NameLists): I
  readonly outputs: readonly string[]
  /** Defaults to `outputs`. */
  readonly outputNames?: readonly string[]
  readonly outputNode?: boolean
  /** Further keys of ComfyUI's definition, e.g. `{ essentials_category: 'Basics' }`. */
  readonly extra?: { readonly [key: string]: JsonValue }
  run(
    inputs: InputValues<I>,
    context: NodeContext,
  ): readonly unknown[] | NodeShow | Promise<readonly unknown[] | NodeShow>
  /** See Executor.fingerprint. */
  fingerprint?(inputs: JsonObject, folders: ModelFolders): Promise<string>
  readonly validation?: NodeValidation
}

export interface NodeRow {
  readonly name: string
  definition(lists: NameLists): NodeDefinition
  run(inputs: { readonly [name: string]: unknown }, context: NodeContext): Promise<NodeShow>
  fingerprint?(inputs: JsonObject, folders: ModelFolders): Promise<string>
  readonly validation?: NodeValidation
}

/** Completes an authored row to the full shape of GET /object_info. */
export function defineNode<const I extends Inputs>(authored: NodeAuthoring<I>): NodeRow {
  const { name, displayName, category, description, pythonModule, outputs, outputNames } = authored
  return {
    name,
    definition: (lists) => {
      const input = authored.inputs(lists)
      const order = Object.entries(input).map(([group, specs]) => [group, Object.keys(specs ?? {})])
      return {
        input: input as NodeDefinition['input'],
        input_order: Object.fromEntries(order),
        is_input_list: false,
        output: [...outputs],
        output_is_list: outputs.map(() => false),
        output_name: [...(outputNames ?? outputs)],
        name,
        display_name: displayName,
        description: description ?? '',
        python_module: pythonModule ?? 'nodes',
        category,
        output_node: authored.outputNode ?? false,
        has_intermediate_output: false,
        ...authored.extra,
      }
    },
    run: async (inputs, context) => {
      const result = await authored.run(inputs as InputValues<I>, context)
      return 'outputs' in result ? result : { outputs: result }
    },
    ...(authored.fingerprint && { fingerprint: authored.fingerprint }),
    ...(authored.validation && { validation: authored.validation }),
  }
}
