/**
 * A channel: bytes to and from a peer, over a TLS socket or a libp2p stream. Whoever speaks over it
 * need not know which; a side that is silent for too long counts as gone.
 */

export interface Channel {
  readonly peerId: string
  /**
   * Fills the target with the next bytes. Several may wait, each for what follows those before it.
   * @throws Error when the channel ends, breaks or is silent for too long before the target is full.
   */
  read(target: Uint8Array): Promise<void>
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
  filledBytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Puts what arrives where somebody waits for it. */
export interface Inbox {
  read: Channel['read']
  /** Memory for what arrives next: where somebody waits for it, so that it need not be copied. */
  room(): Uint8Array
  /** So much has arrived in the room that was given last. @returns false when nobody waits for more. */
  arrived(bytes: number): boolean
  /** Takes a copy. @returns false when nobody waits for more. */
  take(bytes: Uint8Array): boolean
  fail(error: Error): void
}

/** What TLS gives at once: nobody's room is smaller, or a record would come in several turns. */
const RECORD_BYTES = 16 * 1024

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
  const early: Uint8Array[] = []
  const ownRoom = new Uint8Array(RECORD_BYTES)
  /** Whose room was given last. */
  let roomOf: Target | undefined
  let failure: Error | undefined
  let stopWatching: (() => void) | undefined
  let hasMoved = false

  /** Looks now and then: to set a timer anew at every piece would cost more than to copy it. */
  function watch(): void {
    hasMoved = stopWatching !== undefined
    stopWatching ??= afterReading(silenceMs, () => {
      stopWatching = undefined
      if (targets.length === 0) return
      if (hasMoved) watch()
      else onSilence()
    })
  }

  /** @returns the bytes that nobody has asked for. */
  function fill(bytes: Uint8Array): Uint8Array {
    let left = bytes
    while (left.length > 0 && targets.length > 0) {
      const { bytes: memory, filledBytes } = targets[0]!
      const part = left.subarray(0, memory.length - filledBytes)
      memory.set(part, filledBytes)
      left = left.subarray(part.length)
      filled(part.length)
    }
    return left
  }

  /** The first target has so many bytes more. */
  function filled(bytes: number): void {
    const target = targets[0]!
    target.filledBytes += bytes
    if (target.filledBytes < target.bytes.length) return
    targets.shift()
    target.resolve()
  }

  function take(bytes: Uint8Array): boolean {
    hasMoved = true
    const left = fill(bytes)
    if (left.length > 0) early.push(new Uint8Array(left))
    return targets.length > 0
  }

  function end(): void {
    stopWatching?.()
    stopWatching = undefined
  }

  return {
    read(bytes) {
      if (bytes.length === 0) return Promise.resolve()
      return new Promise((resolve, reject) => {
        targets.push({ bytes, filledBytes: 0, resolve, reject })
        while (early.length > 0 && targets.length > 0) {
          const left = fill(early.shift()!)
          if (left.length > 0) early.unshift(left)
        }
        if (targets.length === 0) return
        if (failure !== undefined) return void targets.pop()!.reject(failure)
        watch()
        onWanted()
      })
    },
    room() {
      const [target] = targets
      const room = target?.bytes.subarray(target.filledBytes) ?? ownRoom
      roomOf = room.length < RECORD_BYTES ? undefined : target
      return roomOf === undefined ? ownRoom : room
    },
    arrived(bytes) {
      if (roomOf === undefined) return take(ownRoom.subarray(0, bytes))
      hasMoved = true
      // Otherwise it has failed, and its memory is nobody's.
      if (roomOf === targets[0]) filled(bytes)
      return targets.length > 0
    },
    take,
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
  const cancel = afterReading(silenceMs, onSilence)
  try {
    return await doing
  } finally {
    cancel()
  }
}

/**
 * Calls back after a while, and after what has arrived by then was read: a process that was itself
 * held up has not listened meanwhile.
 * @returns how to give that up.
 */
function afterReading(delayMs: number, callback: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(callback)
  }, delayMs)
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}
