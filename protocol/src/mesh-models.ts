/** The models of a whole mesh, as an agent's /v1/models tells them. */
import { z } from 'zod'

const modelHolderSchema = z.object({
  peerId: z.string(),
  peerName: z.string(),
  resident: z.boolean().describe('In memory there'),
})

const modelFileSchema = z.object({
  id: z.string().describe('Content identity: equal for equal files'),
  sizeBytes: z.number(),
  family: z
    .string()
    .optional()
    .describe('What it is, in words; absent where its header does not tell'),
  problem: z.string().optional().describe('Why no comfymesh can run it, and what to do'),
  holders: z.array(modelHolderSchema),
})

const meshModelSchema = z.object({
  kind: z.string().describe("ComfyUI's folder: checkpoints, loras, ..."),
  name: z.string().describe('As a prompt says it'),
  files: z
    .array(modelFileSchema)
    .min(1)
    .describe('Several where machines have different files of this name'),
})

export const meshModelsSchema = z.object({
  models: z.array(meshModelSchema).describe('By kind and name'),
  unknown: z
    .array(z.object({ peerName: z.string(), reason: z.string() }))
    .describe('Machines whose models are not in the list, and why'),
})

export type ModelHolder = z.infer<typeof modelHolderSchema>
export type MeshModel = z.infer<typeof meshModelSchema>
export type MeshModels = z.infer<typeof meshModelsSchema>
