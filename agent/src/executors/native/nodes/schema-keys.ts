/** What ComfyUI adds to the definitions of nodes that are written against its newer ("V3") schema. */
import type { JsonValue } from '@comfymesh/protocol/json'

interface SchemaKeys {
  readonly deprecated?: boolean
  readonly essentialsCategory?: string
}

/** The `extra` of such a node's row. */
export function schemaKeys(keys: SchemaKeys = {}): { readonly [key: string]: JsonValue } {
  return {
    output_matchtypes: null,
    deprecated: keys.deprecated ?? false,
    experimental: false,
    dev_only: false,
    api_node: false,
    price_badge: null,
    essentials_category: keys.essentialsCategory ?? null,
  }
}
