/** The protocol buffer wire format, as much of it as an ONNX file takes. Writing only. */

/** A message under construction. Messages within it are written in place: a graph has thousands. */
export class ProtobufMessage {
  #bytes = Buffer.allocUnsafe(1024)
  #length = 0

  /** An int32, int64 or enum; negative numbers take ten bytes, as the format wants. */
  integer(field: number, value: number): this {
    this.#tag(field, 0)
    if (value >= 0) this.#varint(value)
    else this.#negative(value)
    return this
  }

  float(field: number, value: number): this {
    this.#tag(field, 5)
    this.#reserve(4)
    this.#length = this.#bytes.writeFloatLE(value, this.#length)
    return this
  }

  text(field: number, value: string): this {
    this.#tag(field, 2)
    const start = this.#length
    this.#varint(value.length)
    this.#reserve(value.length)
    // Names are ASCII, and a loop writes short ones sooner than a call out of JavaScript.
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i)
      if (unit > 127) {
        this.#length = start
        return this.#prefixed(Buffer.from(value))
      }
      this.#bytes[this.#length++] = unit
    }
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2)
    return this.#prefixed(value)
  }

  /** @param write adds what the inner message holds. */
  message(field: number, write: (inner: ProtobufMessage) => void): this {
    this.#tag(field, 2)
    this.#reserve(1)
    const at = this.#length++
    write(this)
    const length = this.#length - at - 1
    // Most are short: longer ones move up to make room for their length.
    const prefixSize = varintSize(length)
    if (prefixSize > 1) {
      this.#reserve(prefixSize - 1)
      this.#bytes.copyWithin(at + prefixSize, at + 1, this.#length)
    }
    this.#length = at
    this.#varint(length)
    this.#length += length
    return this
  }

  /** The bytes so far; valid until something is added. */
  encode(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #prefixed(value: Uint8Array): this {
    this.#varint(value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType)
  }

  #varint(value: number): void {
    this.#reserve(10)
    let rest = value
    // Offsets into large files exceed 32 bits, so no shifts.
    for (; rest > 127; rest = Math.floor(rest / 128)) {
      this.#bytes[this.#length++] = (rest % 128) + 128
    }
    this.#bytes[this.#length++] = rest
  }

  #negative(value: number): void {
    this.#reserve(10)
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) + 128
    this.#bytes[this.#length++] = Number(rest)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#length + more, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++
  return size
}
