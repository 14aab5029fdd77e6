/** Messages on a way that knows only bytes: each comes after its length in 4 bytes, big-endian. */

const LENGTH_BYTES = 4

/** The bytes of one message, its length in front. */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(message.length)
  return Buffer.concat([length, message])
}

export interface FrameSplitter {
  /**
   * The messages that are whole now that these bytes have come: views of them, copies only of what
   * came in several parts. @throws RangeError for one that is longer than allowed, after those before it.
   */
  push(bytes: Uint8Array): Generator<Buffer, void>
  /** Whether the last bytes that came belong to a message that is not whole. */
  isWithin(): boolean
}

/** Takes bytes as they come, however they were cut. */
export function createFrameSplitter({ maxBytes = Number.POSITIVE_INFINITY } = {}): FrameSplitter {
  let parts: Buffer[] = []
  let heldBytes = 0
  /** Of the message that is coming, once its length is known. */
  let messageBytes: number | undefined

  function take(count: number): Buffer {
    const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    parts = all.length > count ? [all.subarray(count)] : []
    heldBytes -= count
    return all.subarray(0, count)
  }

  function takeLength(): number {
    const length = take(LENGTH_BYTES).readUInt32BE()
    if (length <= maxBytes) return length
    throw new RangeError(`A message of ${length} bytes; at most ${maxBytes} are allowed.`)
  }

  return {
    *push(bytes) {
      parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
      heldBytes += bytes.length
      for (;;) {
        if (messageBytes === undefined && heldBytes >= LENGTH_BYTES) messageBytes = takeLength()
        if (messageBytes === undefined || heldBytes < messageBytes) return
        const message = take(messageBytes)
        messageBytes = undefined
        yield message
      }
    },
    isWithin: () => heldBytes > 0 || messageBytes !== undefined,
  }
}
