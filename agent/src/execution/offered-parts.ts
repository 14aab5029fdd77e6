/** The large parts of what peers offer: fetched once, checked, and kept as long as they offer them. */
import {
  type Advertisement,
  type Catalog,
  catalogSchema,
  offeredNodesSchema,
} from '@comfymesh/protocol/advertisement'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinition, NodeDefinitions } from '@comfymesh/protocol/workflow'
import { z } from 'zod'
import type { Documents } from '../mesh/documents.ts'

export interface OfferedParts {
  readonly definitions: NodeDefinitions
  readonly judgedInputs: (classType: string) => readonly string[]
  readonly catalog: Catalog
}

/** Digests that name all of them; equal offers have equal keys. */
export function partsKey({ executors, catalogDigest }: Advertisement): string | undefined {
  if (catalogDigest === undefined) return undefined
  return [...executors.map(({ nodesDigest }) => nodesDigest), catalogDigest].join(' ')
}

const inputSpecsSchema = z.record(
  z.string(),
  z.array(z.unknown()).min(1).max(2).or(z.array(z.unknown()).min(1)),
)

/** What planning and validation take for granted of a class; all else of it is only shown. */
const nodeSchema = z.object({
  definition: z.looseObject({
    input: z.looseObject({
      required: inputSpecsSchema.optional(),
      optional: inputSpecsSchema.optional(),
    }),
    output: z.array(z.unknown()),
    name: z.string(),
  }),
  judgedInputs: z.array(z.string()).default([]),
})

/** More than ComfyUI has with all node packs that there are. */
const MAX_CLASSES = 10_000

/**
 * Fetches what an advertisement names by digest.
 * @throws MeshError `peer_incompatible` when it is not what it should be; as Documents.fetch.
 */
export async function fetchParts(
  { peerId, executors, catalogDigest }: Advertisement,
  documents: Pick<Documents, 'fetch'>,
  signal: AbortSignal,
): Promise<OfferedParts> {
  const one = async (digest: string) =>
    (await documents.fetch(peerId, [digest], signal)).get(digest)!
  const classes = new Map<string, Offered>()
  for (const { nodesDigest } of executors) {
    const index = checked(peerId, 'index of nodes', offeredNodesSchema, await one(nodesDigest))
    const digests = Object.values(index)
    if (digests.length > MAX_CLASSES) throw malformed(peerId, 'index of nodes', 'it is too long')
    const nodes = await documents.fetch(peerId, digests, signal)
    for (const [classType, digest] of Object.entries(index)) {
      // Of two executors with the same class the first one runs it.
      if (!classes.has(classType)) classes.set(classType, offeredOf(peerId, nodes.get(digest)!))
    }
  }
  const catalog = checked(peerId, 'catalog', catalogSchema, await one(catalogDigest!))
  return {
    definitions: Object.fromEntries(
      [...classes].map(([name, { definition }]) => [name, definition]),
    ),
    judgedInputs: (classType) => classes.get(classType)?.judgedInputs ?? [],
    catalog,
  }
}

interface Offered {
  readonly definition: NodeDefinition
  readonly judgedInputs: readonly string[]
}

/** The definition itself and no copy: peers that offer the same one share it. */
function offeredOf(peerId: string, document: JsonValue): Offered {
  const { judgedInputs } = checked(peerId, 'definition of a node', nodeSchema, document)
  const { definition } = document as unknown as Offered
  return { definition, judgedInputs }
}

function checked<T>(peerId: string, what: string, schema: z.ZodType<T>, document: JsonValue): T {
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw malformed(peerId, what, `${path.join('.')}: ${message}`)
}

function malformed(peerId: string, what: string, why: string): MeshError {
  const message = `The ${what} of peer ${peerId} cannot be used: ${why}. Bring both machines to the same release.`
  return new MeshError('peer_incompatible', message, { details: { peerId } })
}
