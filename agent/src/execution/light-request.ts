/** What a job weighs while it waits: most of it is the workflow that its pictures will carry. */
import type { JobRequest } from '@comfymesh/protocol/job'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'

/**
 * The same request, its workflow kept as bytes that are parsed whenever somebody looks. The
 * objects of a workflow weigh several times its text, and thousands of jobs may wait.
 */
export function lightened(request: JobRequest): JobRequest {
  const { extra_pnginfo } = request.extraData
  if (typeof extra_pnginfo !== 'object' || extra_pnginfo === null) return request
  const bytes = Buffer.from(stringifyJson(extra_pnginfo))
  const extraData = { ...request.extraData }
  Object.defineProperty(extraData, 'extra_pnginfo', {
    enumerable: true,
    configurable: true,
    get: () => parseJson(bytes.toString()),
  })
  return { ...request, extraData }
}
