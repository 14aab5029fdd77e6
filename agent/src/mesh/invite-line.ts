/** The one line by which another machine joins: where to knock, and a secret for this once. */
import { createHash } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { MeshError } from '@comfymesh/protocol/errors'

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface InviteTicket {
  /** 16 bytes. */
  readonly secret: Uint8Array
  readonly meshId: string
  readonly expiresAtMs: number
  /** Where whoever invites can be reached, the likeliest first. */
  readonly addresses: readonly HostPort[]
}

const PREFIX = 'cm1_'
const CHECK_BYTES = 4
const SECRET_BYTES = 16
const MESH_ID_BYTES = 8
const MAX_ADDRESSES = 8

/** Written as: expiry (seconds), secret, mesh id, then each address as family, bytes and port; at the end a checksum. */
export function inviteLine({ secret, meshId, expiresAtMs, addresses }: InviteTicket): string {
  const expiry = Buffer.alloc(4)
  expiry.writeUInt32BE(Math.ceil(expiresAtMs / 1000))
  const body = Buffer.concat([
    expiry,
    secret,
    Buffer.from(meshId, 'hex'),
    ...addresses.slice(0, MAX_ADDRESSES).map(addressBytes),
  ])
  return PREFIX + Buffer.concat([body, checksum(body)]).toString('base64url')
}

/** @throws MeshError `invite_refused` for what is no invite or not a whole one. */
export function parseInviteLine(line: string): InviteTicket {
  const text = line.trim().replace(/^["'](.*)["']$/, '$1')
  if (!text.startsWith(PREFIX)) {
    const hint = /^cm\d+_/.test(text) ? 'It was made by another release; update comfymesh.' : ''
    throw unreadable(`it should begin with ${PREFIX}. ${hint}`.trim())
  }
  const bytes = Buffer.from(text.slice(PREFIX.length), 'base64url')
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECK_BYTES))
  if (body.length < 4 || !checksum(body).equals(bytes.subarray(body.length))) {
    throw unreadable('it is not whole. Copy all of the line that `comfymesh invite` printed.')
  }
  const secretEnd = 4 + SECRET_BYTES
  return {
    expiresAtMs: body.readUInt32BE(0) * 1000,
    secret: body.subarray(4, secretEnd),
    meshId: body.toString('hex', secretEnd, secretEnd + MESH_ID_BYTES),
    addresses: parseAddresses(body.subarray(secretEnd + MESH_ID_BYTES)),
  }
}

/** Names an invite to whoever made it, without telling its secret. */
export function inviteIdOf(secret: Uint8Array): string {
  return createHash('sha256')
    .update('comfymesh invite id')
    .update(secret)
    .digest('hex')
    .slice(0, 16)
}

const unreadable = (why: string) =>
  new MeshError('invite_refused', `This is no invite that can be used: ${why}`)

const checksum = (bytes: Uint8Array) =>
  createHash('sha256').update(bytes).digest().subarray(0, CHECK_BYTES)

function addressBytes({ host, port }: HostPort): Buffer {
  const address = isIPv4(host) ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host)
  const bytes = Buffer.alloc(1 + address.length + 2)
  bytes[0] = address.length
  address.copy(bytes, 1)
  bytes.writeUInt16BE(port, 1 + address.length)
  return bytes
}

function parseAddresses(bytes: Buffer): HostPort[] {
  const addresses: HostPort[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at]!
    const end = at + 1 + length
    if ((length !== 4 && length !== 16) || end + 2 > bytes.length) throw unreadable('it is broken.')
    const address = bytes.subarray(at + 1, end)
    const host = length === 4 ? address.join('.') : ipv6Text(address)
    addresses.push({ host, port: bytes.readUInt16BE(end) })
    at = end + 2
  }
  return addresses
}

function ipv6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const filled = 8 - groups(head).length - groups(tail).length
  const all = [
    ...groups(head),
    ...Array<string>(tail === undefined ? 0 : filled).fill('0'),
    ...groups(tail),
  ]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function ipv6Text(bytes: Buffer): string {
  return bytes
    .toString('hex')
    .match(/.{4}/g)!
    .map((group) => group.replace(/^0{1,3}/, ''))
    .join(':')
}
