/**
 * Keeps connections to the peers that should be connected: dials whoever was sighted, remembered
 * or named until it answers, and closes one of two when both sides dialled at once.
 */
import type { Connection } from '@libp2p/interface'
import type { HostPort } from './invite-line.ts'
import type { MeshNode } from './node.ts'

/** Somebody to be connected with. */
export interface Target {
  /** Absent for an address that the user named, until it has answered. */
  readonly peerId?: string
  readonly hosts: readonly string[]
  readonly port: number
  readonly doorPort: number
}

export interface Links {
  start(): void
  stop(): void
  /** Wants a connection; what is newer about a known peer replaces what was known. */
  want(target: Target): void
  /** As `want`, and whatever was tried lately is tried again at once. */
  sighted(target: Target & { readonly peerId: string }): void
  /** Others may be welcome than before. */
  reconsider(): void
  /** Wants nobody any more but those whom the user named. */
  forgetAll(): void
}

export interface LinksModules {
  readonly node: Pick<MeshNode, 'dial' | 'connections' | 'onConnection' | 'onConnectionEnd'>
  readonly selfId: string
  /** Whether a connection to this peer is wanted at all. */
  readonly isWelcome: (peerId: string) => boolean
  /** Somebody is there but the handshake fails: perhaps our secret is an old one. */
  readonly onHandshakeFailed: (target: Target) => void
  readonly now: () => number
}

interface Attempt {
  target: Target
  /** Who lives at an address that the user named. */
  answeredBy?: string
  nextAtMs: number
  /** When it was last heard of: who is long gone is dialled less often. */
  heardAtMs: number
  isDialling: boolean
  failures: number
}

/** "Back within 3 s" leaves room for two attempts and a handshake. */
const RETRY_MS = 1000
const LONG_GONE_MS = 10 * 60_000
const LONG_GONE_RETRY_MS = 15_000
const DIAL_TIMEOUT_MS = 5000
/** So long the peer with the greater id lets the other one dial. */
const POLITENESS_MS = 400
/** Both sides must know both connections before one goes. */
const SETTLE_MS = 1000

export function createLinks(modules: LinksModules): Links {
  const { node, selfId, isWelcome, now } = modules
  const attempts = new Map<string, Attempt>()
  const stopped = new AbortController()
  let isStarted = false
  let timer: NodeJS.Timeout | undefined

  const keyOf = ({ peerId, hosts, port }: Target) => peerId ?? `${hosts[0]}:${port}`

  const peerOf = ({ target, answeredBy }: Attempt) => target.peerId ?? answeredBy

  const politeMs = (peerId: string | undefined) =>
    peerId !== undefined && peerId < selfId ? POLITENESS_MS : 0

  function attemptFor(target: Target): Attempt {
    const key = keyOf(target)
    const known = attempts.get(key)
    if (known !== undefined) {
      known.target = target
      return known
    }
    const nextAtMs = now() + politeMs(target.peerId)
    const attempt = { target, nextAtMs, heardAtMs: now(), isDialling: false, failures: 0 }
    attempts.set(key, attempt)
    return attempt
  }

  function isMissing(attempt: Attempt): boolean {
    const peerId = peerOf(attempt)
    if (attempt.isDialling) return false
    return peerId === undefined || (isWelcome(peerId) && node.connections(peerId).length === 0)
  }

  /** Dials whoever is due, and looks again when the next one is. */
  function look(): void {
    clearTimeout(timer)
    if (!isStarted) return
    const atMs = now()
    let nextAtMs = Number.POSITIVE_INFINITY
    for (const attempt of [...attempts.values()].filter(isMissing)) {
      if (attempt.nextAtMs <= atMs) void dial(attempt)
      else nextAtMs = Math.min(nextAtMs, attempt.nextAtMs)
    }
    if (nextAtMs < Number.POSITIVE_INFINITY) timer = setTimeout(look, nextAtMs - atMs)
  }

  function ended(connection: Connection): void {
    const peerId = connection.remotePeer.toString()
    for (const attempt of attempts.values()) {
      if (peerOf(attempt) !== peerId) continue
      attempt.heardAtMs = now()
      // It was there a moment ago, however long it had been away before.
      const nextAtMs = Math.min(attempt.nextAtMs, now() + RETRY_MS)
      attempt.nextAtMs = Math.max(nextAtMs, now() + politeMs(peerId))
    }
    look()
  }

  async function dial(attempt: Attempt): Promise<void> {
    attempt.isDialling = true
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
    try {
      attempt.answeredBy = await dialFirst(node, attempt.target, signal)
      attempt.heardAtMs = now()
      attempt.failures = 0
    } catch (error) {
      attempt.failures++
      if (!stopped.signal.aborted && isHandshakeFailure(error)) {
        modules.onHandshakeFailed(attempt.target)
      }
    } finally {
      attempt.isDialling = false
      const isLongGone = now() - attempt.heardAtMs > LONG_GONE_MS
      attempt.nextAtMs = now() + (isLongGone ? LONG_GONE_RETRY_MS : RETRY_MS)
      look()
    }
  }

  function settle(connection: Connection): void {
    const peerId = connection.remotePeer.toString()
    if (node.connections(peerId).length < 2 || selfId > peerId) return
    setTimeout(() => {
      for (const other of node.connections(peerId).slice(1)) {
        other.close().catch(() => other.abort(new Error('a second connection')))
      }
    }, SETTLE_MS).unref()
  }

  return {
    start() {
      isStarted = true
      node.onConnection(settle)
      node.onConnectionEnd(ended)
      look()
    },
    stop() {
      isStarted = false
      stopped.abort()
      clearTimeout(timer)
    },
    want(target) {
      attemptFor(target)
      look()
    },
    sighted(target) {
      // Anybody can announce any identity; only members are dialled, so only they are kept.
      if (!isWelcome(target.peerId)) return
      const attempt = attemptFor(target)
      attempt.heardAtMs = now()
      if (attempt.failures > 0) attempt.nextAtMs = Math.min(attempt.nextAtMs, now())
      look()
    },
    reconsider: look,
    forgetAll() {
      for (const [key, { target }] of attempts) {
        if (target.peerId !== undefined) attempts.delete(key)
      }
    },
  }
}

/** One host after the other, as the likeliest comes first. @throws Error of the last that was tried. */
async function dialFirst(
  node: Pick<MeshNode, 'dial'>,
  { hosts, port, peerId }: Target,
  signal: AbortSignal,
): Promise<string> {
  let failure: unknown = new Error('no address is known')
  for (const host of hosts) {
    try {
      return await node.dial({ host, port } satisfies HostPort, peerId, signal)
    } catch (error) {
      failure = isHandshakeFailure(failure) ? failure : error
      if (signal.aborted) break
    }
  }
  throw failure
}

/** Noise fails as EncryptionFailedError on our side; a listener that gave up resets. */
function isHandshakeFailure(error: unknown): boolean {
  const { name, message } = error as Error
  return name === 'EncryptionFailedError' || /handshake|encrypt/i.test(message)
}
