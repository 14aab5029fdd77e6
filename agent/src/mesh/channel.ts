/**
 * A channel: bytes to and from a peer, over a TLS socket or a libp2p stream. Whoever speaks over it
 * need not know which; a side that is silent for too long counts as gone.
 */

/** Told of each part of a target when it has just been filled, in their order. */
export type OnPart = (part: Uint8Array) => void

export interface Channel {
  readonly peerId: string
  /**
   * Fills the target with the next bytes. Several may wait, each for what follows those before it.
   * @param onPart for work that is cheaper while the processor has the bytes at hand.
   * @throws Error when the channel ends, breaks or is silent for too long before the target is full.
   */
  read(target: Uint8Array, onPart?: OnPart): Promise<void>
  /**
   * Hands bytes over and waits while the way is full; then their memory may be used for others.
   * @throws Error as `read`
   */
  write(bytes: Uint8Array): Promise<void>
  /** Lets what was written go out, then ends. */
  close(): void
  /** Ends at once. Safe to call twice. */
  destroy(): void
}

interface Target {
  readonly bytes: Uint8Array
  readonly onPart: OnPart | undefined
  filledBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Puts what arrives where somebody waits for it. */
export interface Inbox {
  read: Channel['read']
  /** Takes the first `count` bytes, which may be overwritten afterwards. @returns false when nobody waits for more. */
  take(bytes: Buffer, count?: number): boolean
  fail(error: Error): void
}

/**
 * @param onWanted more is wanted after `take` said no.
 * @param onSilence somebody has waited for `silenceMs` and nothing came.
 */
export function createInbox(
  { silenceMs }: { readonly silenceMs: number },
  { onWanted, onSilence }: { readonly onWanted: () => void; readonly onSilence: () => void },
): Inbox {
  const targets: Target[] = []
  /** What came before anybody asked for it; the other side is kept back meanwhile. */
  const early: Buffer[] = []
  let failure: Error | undefined
  let silence: NodeJS.Timeout | undefined
  let hasMoved = false

  /** Looks now and then: to set a timer anew at every piece would cost more than to copy it. */
  function watch(): void {
    hasMoved = silence !== undefined
    silence ??= setTimeout(() => {
      silence = undefined
      if (targets.length === 0) return
      if (hasMoved) watch()
      else onSilence()
    }, silenceMs)
  }

  /** @returns where in the bytes the first stands that nobody has asked for. */
  function fill(bytes: Buffer, count: number): number {
    let at = 0
    while (at < count && targets.length > 0) {
      const target = targets[0]!
      const from = target.filledBytes
      const copied = bytes.copy(target.bytes, from, at, count)
      target.filledBytes += copied
      at += copied
      target.onPart?.(target.bytes.subarray(from, target.filledBytes))
      if (target.filledBytes < target.bytes.length) continue
      targets.shift()
      target.resolve()
    }
    return at
  }

  function end(): void {
    clearTimeout(silence)
    silence = undefined
  }

  return {
    read(bytes, onPart) {
      if (bytes.length === 0) return Promise.resolve()
      return new Promise((resolve, reject) => {
        targets.push({ bytes, onPart, filledBytes: 0, resolve, reject })
        while (early.length > 0 && targets.length > 0) {
          const first = early.shift()!
          const at = fill(first, first.length)
          if (at < first.length) early.unshift(first.subarray(at))
        }
        if (targets.length === 0) return
        if (failure !== undefined) return void targets.pop()!.reject(failure)
        watch()
        onWanted()
      })
    },
    take(bytes, count = bytes.length) {
      hasMoved = true
      const at = fill(bytes, count)
      if (at < count) early.push(Buffer.from(bytes.subarray(at, count)))
      return targets.length > 0
    },
    fail(error) {
      failure ??= error
      for (const target of targets.splice(0)) target.reject(failure)
      end()
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
