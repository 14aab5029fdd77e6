/** Nodes that only pass a constant on (comfy_extras/nodes_primitive.py). */
import { defineNode } from '../node.ts'

/** ComfyUI's sys.maxsize, the bound of a plain number. */
const MAX_INTEGER = 9223372036854775807n

/** What all of them have in common. */
const primitive = {
  category: 'utilities/primitive',
  pythonModule: 'comfy_extras.nodes_primitive',
  extra: {
    output_matchtypes: null,
    deprecated: false,
    experimental: false,
    dev_only: false,
    api_node: false,
    price_badge: null,
    essentials_category: null,
  },
}

export const primitiveNodes = [
  defineNode({
    ...primitive,
    name: 'PrimitiveInt',
    displayName: 'Int',
    inputs: () => ({
      required: {
        value: ['INT', { min: -MAX_INTEGER, max: MAX_INTEGER, control_after_generate: 'fixed' }],
      },
    }),
    outputs: ['INT'],
    run: ({ value }) => [value],
  }),
  defineNode({
    ...primitive,
    name: 'PrimitiveFloat',
    displayName: 'Float',
    inputs: () => ({
      required: { value: ['FLOAT', { min: -MAX_INTEGER, max: MAX_INTEGER, step: 0.1 }] },
    }),
    outputs: ['FLOAT'],
    run: ({ value }) => [value],
  }),
  defineNode({
    ...primitive,
    name: 'PrimitiveString',
    displayName: 'Text',
    inputs: () => ({ required: { value: ['STRING', { multiline: false }] } }),
    outputs: ['STRING'],
    run: ({ value }) => [value],
  }),
  defineNode({
    ...primitive,
    name: 'PrimitiveStringMultiline',
    displayName: 'Text (Multiline)',
    extra: { ...primitive.extra, essentials_category: 'Basics' },
    inputs: () => ({ required: { value: ['STRING', { multiline: true }] } }),
    outputs: ['STRING'],
    run: ({ value }) => [value],
  }),
  defineNode({
    ...primitive,
    name: 'PrimitiveBoolean',
    displayName: 'Boolean',
    inputs: () => ({ required: { value: ['BOOLEAN', {}] } }),
    outputs: ['BOOLEAN'],
    run: ({ value }) => [value],
  }),
]
