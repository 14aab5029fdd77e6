/** What a job weighs while it waits: most of it is the workflow that its pictures will carry. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { JobRequest } from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'

/** The fastest: workflows repeat themselves, and shrink to a tenth with this one too. */
const LEVEL = 1

/**
 * The same request, its workflow kept as compressed text that is parsed whenever somebody looks.
 * The objects of a workflow weigh several times its text, and thousands of jobs may wait.
 */
export function lightened(request: JobRequest): JobRequest {
  const { extra_pnginfo } = request.extraData
  if (typeof extra_pnginfo !== 'object' || extra_pnginfo === null) return request
  // A copy, because what zlib hands out is the beginning of a larger buffer.
  const bytes = Buffer.from(deflateRawSync(stringifyJson(extra_pnginfo), { level: LEVEL }))
  const extraData = { ...request.extraData }
  Object.defineProperty(extraData, 'extra_pnginfo', {
    enumerable: true,
    configurable: true,
    get: () => parseJson(inflateRawSync(bytes).toString()),
  })
  return { ...request, extraData }
}
