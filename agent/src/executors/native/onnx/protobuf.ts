/** The protocol buffer wire format, as much of it as an ONNX file takes. Writing only. */

/** A message under construction; nested messages are messages of their own. */
export class ProtobufMessage {
  #bytes = Buffer.allocUnsafe(128)
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
    const length = Buffer.byteLength(value)
    this.#varint(length)
    this.#reserve(length)
    this.#length += this.#bytes.write(value, this.#length)
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2)
    this.#varint(value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  message(field: number, value: ProtobufMessage): this {
    return this.bytes(field, value.encode())
  }

  /** The bytes so far; valid until something is added. */
  encode(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
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
