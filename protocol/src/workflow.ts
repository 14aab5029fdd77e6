/**
 * The graph formats of ComfyUI: the prompt (its API format) and the node
 * definitions of GET /object_info. The workflow format that a user draws is
 * converted to a prompt before it reaches a plan.
 */
import type { JsonObject, JsonValue } from './json.ts'

export type NodeId = string

/** The output `slot` of node `nodeId`, as written in a prompt's inputs. */
export type NodeLink = [nodeId: NodeId, slot: number]

export interface PromptNode {
  class_type: string
  inputs: { [name: string]: JsonValue }
  _meta?: { title?: string }
}

/** ComfyUI's API format: node id to node. */
export type Prompt = { [nodeId: NodeId]: PromptNode }

/** ComfyUI's `is_link`: a list of a node id and a slot number, nothing else. */
export function isLink(value: unknown): value is NodeLink {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    typeof value[1] === 'number'
  )
}

/** An input of a node definition: `[type or options, settings?]`. */
export type InputSpec = readonly [type: string | readonly JsonValue[], settings?: JsonObject]

export type InputSpecs = { readonly [name: string]: InputSpec }

/** One entry of GET /object_info, as ComfyUI 0.33 sends it. */
export interface NodeDefinition {
  input: {
    required?: InputSpecs
    optional?: InputSpecs
    hidden?: { readonly [name: string]: string }
  }
  input_order: { required?: string[]; optional?: string[]; hidden?: string[] }
  is_input_list: boolean
  output: string[]
  output_is_list: boolean[]
  output_name: string[]
  name: string
  display_name: string
  description: string
  python_module: string
  category: string
  output_node: boolean
  has_intermediate_output: boolean
  [extra: string]: unknown
}

export type NodeDefinitions = { [className: string]: NodeDefinition }
