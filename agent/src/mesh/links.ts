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
  /** Wants nobody any more but those whom the user named. */
  forgetAll(): void
}

export interface LinksModules {
  readonly node: Pick<MeshNode, 'dial' | 'connections' | 'connectedPeers' | 'onConnection'>
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

const TICK_MS = 250
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
  let timer: NodeJS.Timeout | undefined

  const keyOf = ({ peerId, hosts, port }: Target) => peerId ?? `${hosts[0]}:${port}`

  function want(target: Target, isPolite: boolean): Attempt {
    const key = keyOf(target)
    const known = attempts.get(key)
    if (known !== undefined) {
      known.target = target
      return known
    }
    const waitsMs = isPolite && target.peerId !== undefined && target.peerId < selfId
    const nextAtMs = now() + (waitsMs ? POLITENESS_MS : 0)
    const attempt = { target, nextAtMs, heardAtMs: now(), isDialling: false, failures: 0 }
    attempts.set(key, attempt)
    return attempt
  }

  function tick(): void {
    const connected = new Set(node.connectedPeers())
    for (const attempt of attempts.values()) {
      const peerId = attempt.target.peerId ?? attempt.answeredBy
      if (attempt.isDialling || attempt.nextAtMs > now()) continue
      if (peerId !== undefined && !isWelcome(peerId)) continue
      if (peerId !== undefined && connected.has(peerId)) attempt.heardAtMs = now()
      else void dial(attempt)
    }
  }

  async function dial(attempt: Attempt): Promise<void> {
    attempt.isDialling = true
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
    try {
      attempt.answeredBy = await dialFirst(node, attempt.target, signal)
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
      node.onConnection(settle)
      timer = setInterval(tick, TICK_MS)
    },
    stop() {
      stopped.abort()
      clearInterval(timer)
    },
    want(target) {
      want(target, true)
    },
    sighted(target) {
      // Anybody can announce any identity; only members are dialled, so only they are kept.
      if (!isWelcome(target.peerId)) return
      const attempt = want(target, true)
      attempt.heardAtMs = now()
      if (attempt.failures > 0) attempt.nextAtMs = Math.min(attempt.nextAtMs, now())
    },
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
