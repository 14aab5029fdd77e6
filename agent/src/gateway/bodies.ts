/** Request bodies: read whole, whatever they are called, within limits for one and for all. */
import type { Readable } from 'node:stream'
import { MeshError } from '@comfymesh/protocol/errors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyPace, type Pace, steadily } from './body-pace.ts'
import { TooLarge } from './route.ts'

export interface BodyOptions {
  /** Of one request. */
  readonly maxBytes: number
  readonly pace?: Pace
}

/**
 * As many of the largest bodies may be in memory at once; whoever comes then tries again. One
 * costs about four times its size while it is taken apart.
 */
const LARGEST_AT_ONCE = 3

/**
 * Reads the body of every request into a Buffer. ComfyUI's clients send JSON as text, as a form
 * or with no type, so the type is looked at by those routes alone that take forms.
 */
export function installBodies(server: FastifyInstance, options: BodyOptions): void {
  const { maxBytes, pace = bodyPace } = options
  const maxHeldBytes = LARGEST_AT_ONCE * maxBytes
  const held = new WeakMap<object, number>()
  let heldBytes = 0
  const hold = (request: object, bytes: number): void => {
    if (heldBytes + bytes > maxHeldBytes) throw new MeshError('busy', BUSY)
    held.set(request, (held.get(request) ?? 0) + bytes)
    heldBytes += bytes
  }

  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of steadily(payload, pace)) {
      bytes += chunk.length
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      hold(request, chunk.length)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, bytes)
  })
  server.addHook('onRequest', async (request, reply) => {
    const { headers } = request
    // Also when the client went away in the middle.
    reply.raw.once('close', () => {
      heldBytes -= held.get(request) ?? 0
    })
    // Before the first byte, so that nobody uploads for minutes to hear it.
    if (Number(headers['content-length']) > maxBytes) throw tooLarge(maxBytes)
    // The framework refuses what is no media type; only a form has one that matters.
    const type = headers['content-type']
    if (type !== undefined && !/^multipart\/form-data\b/i.test(type))
      headers['content-type'] = 'application/octet-stream'
  })
}

const BUSY = 'The agent is receiving other large files. Try again in a moment.'

function tooLarge(maxBytes: number): TooLarge {
  const most = Math.floor(maxBytes / 2 ** 20)
  return new TooLarge(
    `The request is larger than ${most} MB. Start the agent with --max-upload-size to allow more.`,
  )
}
