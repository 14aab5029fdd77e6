/**
 * What a peer offers to the mesh. Small, because it is sent often; the large
 * parts, such as node definitions, are asked for separately.
 */
import { z } from 'zod'

export const advertisementSchema = z.object({
  peerId: z.string(),
  /** How its owner calls it. */
  name: z.string(),
  /** The agent's version. */
  version: z.string(),
})

export type Advertisement = z.infer<typeof advertisementSchema>
