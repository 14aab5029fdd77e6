/**
 * What a peer offers to the mesh. Small, because it is sent on every change; the large parts
 * (node definitions, the catalog of models) are documents that are fetched once per digest.
 */
import { z } from 'zod'

/** Something that computes, with the memory that a model may use there. */
const deviceSchema = z.object({
  /** As its maker calls it, e.g. 'NVIDIA GeForce RTX 3060'. */
  name: z.string(),
  kind: z.enum(['gpu', 'cpu']),
  /** Its memory; for a CPU the machine's. */
  totalBytes: z.number(),
  /** Absent where nothing tells. */
  freeBytes: z.number().optional(),
  /** How busy it is, 0 to 100; absent where nothing tells. */
  utilisationPercent: z.number().optional(),
  /** Absent where nothing tells. */
  temperatureCelsius: z.number().optional(),
})

const offeredExecutorSchema = z.object({
  /** 'native', 'comfyui'. */
  name: z.string(),
  /** Names the document with its node definitions (`offeredNodesSchema`). */
  nodesDigest: z.string(),
  /** What it computes on: 'cpu', 'cuda', ...; absent until that is known. */
  provider: z.string().optional(),
})

const queueSchema = z.object({
  /** Jobs that were submitted there. */
  running: z.number(),
  waiting: z.number(),
  /** Until the stages that run and wait there are done, whoever sent them; absent: nobody tells. */
  busyMs: z.number().nonnegative().optional(),
})

/** What a kind of node took there, learned from jobs that ran. */
const measuredTimesSchema = z.object({
  classType: z.string(),
  /** Content identity of the model that computed; absent for nodes without one. */
  modelId: z.string().optional(),
  /** Medians, one for each amount of work: steps times pixels times pictures. */
  samples: z.array(z.object({ work: z.number().positive(), elapsedMs: z.number().nonnegative() })),
})

export const advertisementSchema = z.object({
  peerId: z.string(),
  /** How its owner calls it. */
  name: z.string(),
  /** The agent's version. */
  version: z.string(),
  devices: z.array(deviceSchema).default([]),
  /** What its owner lets comfymesh use of the devices' memory; absent means all of it. */
  memoryBudgetBytes: z.number().optional(),
  executors: z.array(offeredExecutorSchema).default([]),
  /** Names the document with its models (`catalogSchema`); absent until they are known. */
  catalogDigest: z.string().optional(),
  /** Content identities of the models that are in memory. */
  residentModels: z.array(z.string()).default([]),
  queue: queueSchema.default({ running: 0, waiting: 0 }),
  /** Measured with what its executor computes on: 10^9 operations a second; absent until it is. */
  benchmarkGflops: z.number().positive().optional(),
  times: z.array(measuredTimesSchema).default([]),
})

export type Advertisement = z.infer<typeof advertisementSchema>
export type Device = z.infer<typeof deviceSchema>
export type MeasuredTimes = z.infer<typeof measuredTimesSchema>

/** The advertisement of a peer of which no more than this is known. */
export function minimalAdvertisement(
  peer: Pick<Advertisement, 'peerId' | 'name' | 'version'>,
): Advertisement {
  return advertisementSchema.parse(peer)
}

/**
 * The document behind `nodesDigest`: for every node class the digest of another document, so
 * that a new file in one dropdown costs one small fetch and not all definitions again.
 */
export const offeredNodesSchema = z.record(z.string(), z.string())

/** What is offered of one node class. */
const offeredNodeSchema = z.object({
  /** As in ComfyUI's /object_info. */
  definition: z.record(z.string(), z.unknown()),
  /** Inputs that the class judges by its own code: not bound to their dropdowns. */
  judgedInputs: z.array(z.string()).default([]),
})

const catalogModelSchema = z.object({
  /** ComfyUI's folder key: 'checkpoints', 'loras', ... */
  kind: z.string(),
  /** As a prompt says it, subfolders with forward slashes. */
  name: z.string(),
  /** Content identity: equal for equal files, whatever their names. */
  id: z.string(),
  sizeBytes: z.number(),
  /** What it is, in words; absent where its header does not tell. */
  family: z.string().optional(),
  /** Why no executor can run it, and what to do. */
  problem: z.string().optional(),
})

/** The document behind `catalogDigest`. */
export const catalogSchema = z.array(catalogModelSchema)

export type OfferedNode = z.infer<typeof offeredNodeSchema>
export type Catalog = z.infer<typeof catalogSchema>
export type CatalogModel = Catalog[number]
