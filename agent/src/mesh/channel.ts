/**
 * A channel: bytes to and from a peer, over a TLS socket or a libp2p stream. Whoever speaks over it
 * need not know which; a side that is silent for too long counts as gone.
 */

export interface Channel {
  readonly peerId: string
  readonly kind: 'tls' | 'stream'
  /**
   * Fills the target with the next bytes. Several may wait, each for what follows those before it.
   * @throws Error when the channel ends, breaks or is silent for too long before the target is full.
   */
  read(target: Uint8Array): Promise<void>
  /** Hands bytes over and waits while the way is full. @throws Error as `read` */
  write(bytes: Uint8Array): Promise<void>
  /** Lets what was written go out, then ends. */
  close(): void
  /** Ends at once. Safe to call twice. */
  destroy(): void
  /** Told once, when nothing comes or goes any more. */
  onEnd(listener: () => void): void
}

interface Target {
  readonly bytes: Uint8Array
  filledBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What arrives between two reads; more is kept back by the other side. */
const OVERFLOW_BYTES = 64 * 1024

/** Puts what arrives where somebody waits for it, without copying it twice. */
export interface Inbox {
  read(target: Uint8Array): Promise<void>
  /** Where the next bytes belong: write there, then say how many. */
  room(): Uint8Array
  /** @returns false when nobody waits for more. */
  arrived(count: number): boolean
  /** As `room` and `arrived`, for bytes that are somewhere already. */
  take(bytes: Uint8Array): boolean
  fail(error: Error): void
}

/**
 * @param onWanted more is wanted after `arrived` said no.
 * @param onSilence somebody has waited for `silenceMs` and nothing came.
 */
export function createInbox(
  { silenceMs }: { readonly silenceMs: number },
  { onWanted, onSilence }: { readonly onWanted: () => void; readonly onSilence: () => void },
): Inbox {
  const targets: Target[] = []
  const early: Uint8Array[] = []
  const overflow = Buffer.allocUnsafeSlow(OVERFLOW_BYTES)
  let failure: Error | undefined
  let isFilling = false
  let silence: NodeJS.Timeout | undefined

  /** Somebody waits as long as there are targets; each arrival begins the wait anew. */
  function watch(): void {
    if (targets.length === 0) {
      clearTimeout(silence)
      silence = undefined
    } else if (silence === undefined) silence = setTimeout(onSilence, silenceMs)
    else silence.refresh()
  }

  function fill(bytes: Uint8Array): Uint8Array {
    let rest = bytes
    while (rest.length > 0 && targets.length > 0) {
      const target = targets[0]!
      const piece = rest.subarray(0, target.bytes.length - target.filledBytes)
      target.bytes.set(piece, target.filledBytes)
      advance(target, piece.length)
      rest = rest.subarray(piece.length)
    }
    return rest
  }

  function advance(target: Target, count: number): void {
    target.filledBytes += count
    if (target.filledBytes < target.bytes.length) return
    targets.shift()
    target.resolve()
  }

  function take(bytes: Uint8Array): boolean {
    const rest = fill(bytes)
    // Copied, as the room it came in is used again.
    if (rest.length > 0) early.push(Uint8Array.prototype.slice.call(rest))
    watch()
    return targets.length > 0
  }

  return {
    read(bytes) {
      if (bytes.length === 0) return Promise.resolve()
      return new Promise((resolve, reject) => {
        targets.push({ bytes, filledBytes: 0, resolve, reject })
        while (early.length > 0 && targets.length > 0) {
          const rest = fill(early.shift()!)
          if (rest.length > 0) early.unshift(rest)
        }
        if (targets.length === 0) return
        if (failure !== undefined) return void targets.pop()!.reject(failure)
        watch()
        onWanted()
      })
    },
    room() {
      const target = targets[0]
      isFilling = target !== undefined
      return target?.bytes.subarray(target.filledBytes) ?? overflow
    },
    arrived(count) {
      // The room is chosen before whoever was served asks for more.
      if (!isFilling || targets.length === 0) return take(overflow.subarray(0, count))
      advance(targets[0]!, count)
      watch()
      return targets.length > 0
    },
    take,
    fail(error) {
      failure ??= error
      for (const target of targets.splice(0)) target.reject(failure)
      watch()
    },
  }
}

/** @throws Error when nothing moved for so long. */
export async function unlessSilent<T>(
  doing: Promise<T>,
  silenceMs: number,
  onSilence: () => void,
): Promise<T> {
  const timer = setTimeout(onSilence, silenceMs)
  try {
    return await doing
  } finally {
    clearTimeout(timer)
  }
}
