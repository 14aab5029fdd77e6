/** The guest's side of the door: knocks at the addresses of a member until one opens. */
import { once } from 'node:events'
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { MeshError } from '@comfymesh/protocol/errors'
import type { z } from 'zod'
import { channelBinding, DOOR_TLS, type DoorAnswer, firstLine } from './door.ts'
import type { Identity } from './identity.ts'
import type { HostPort } from './invite-line.ts'

export interface Knock {
  /** Reason and id, as the door's table knows them: `join/5f0c...`. */
  readonly identity: string
  readonly key: Buffer
  readonly name: string
}

const KNOCK_TIMEOUT_MS = 8000
/** The states of a mesh with a thousand members take less. */
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * Knocks at all addresses at once and takes the first answer, be it yes or no.
 * @returns what the row of the door answered, checked against the schema, and who answered.
 * @throws MeshError `peer_unreachable` when nobody opens; what the door says, as it says it.
 */
export async function knockAt<T>(
  addresses: readonly HostPort[],
  knock: Knock,
  identity: Identity,
  schema: z.ZodType<T>,
): Promise<{ readonly answer: T; readonly at: HostPort }> {
  const ended = new AbortController()
  try {
    const attempts = addresses.map(async (at) => ({
      at,
      answer: await knockOnce(at, knock, identity, ended.signal),
    }))
    const { at, answer } = await Promise.any(attempts)
    if ('error' in answer) throw MeshError.fromWire(answer.error)
    return { answer: schema.parse(answer.ok), at }
  } catch (thrown) {
    throw thrown instanceof AggregateError ? nobodyOpened(addresses, thrown.errors) : thrown
  } finally {
    ended.abort()
  }
}

async function knockOnce(
  { host, port }: HostPort,
  knock: Knock,
  identity: Identity,
  signal: AbortSignal,
): Promise<DoorAnswer> {
  const socket = connect({
    host,
    port,
    ...DOOR_TLS,
    pskCallback: () => ({ psk: knock.key, identity: knock.identity }),
    // The key itself proves who answers; there are no certificates.
    checkServerIdentity: () => undefined,
    ...(isIP(host) === 0 && { servername: host }),
  })
  const stop = () => socket.destroy(new Error('it does not answer'))
  signal.addEventListener('abort', stop)
  const timer = setTimeout(stop, KNOCK_TIMEOUT_MS)
  try {
    await once(socket, 'secureConnect')
    socket.on('error', () => {})
    return await converse(socket, knock, identity)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    socket.destroy()
  }
}

async function converse(socket: TLSSocket, { name }: Knock, identity: Identity) {
  const signature = identity.sign(channelBinding(socket))
  const said = {
    publicKey: Buffer.from(identity.publicKey).toString('base64url'),
    signature: Buffer.from(signature).toString('base64url'),
    name,
  }
  socket.write(`${JSON.stringify(said)}\n`)
  return JSON.parse(await firstLine(socket, MAX_ANSWER_BYTES)) as DoorAnswer
}

function nobodyOpened(addresses: readonly HostPort[], errors: readonly unknown[]): MeshError {
  const tried = addresses
    .map(({ host, port }, index) => `${host}:${port} (${reasonOf(errors[index])})`)
    .join(', ')
  const isKnown = errors.some(isTlsFailure)
  const advice = isKnown
    ? 'An agent is there, but it does not know this key.'
    : 'Check that the agent runs there, that both machines are on one network, and that its firewall lets node through.'
  const message = `Nobody opened at ${tried || 'any address'}. ${advice}`
  return new MeshError('peer_unreachable', message, { details: { isKnown } })
}

const isTlsFailure = (error: unknown) =>
  /^(ERR_SSL|EPROTO)/.test((error as NodeJS.ErrnoException | undefined)?.code ?? '')

function reasonOf(error: unknown): string {
  if (isTlsFailure(error)) return 'it refused the key'
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
