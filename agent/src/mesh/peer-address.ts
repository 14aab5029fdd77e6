/** Addresses as users write them: `192.168.1.7`, `studio-pc:8289`, `/ip4/192.168.1.7/tcp/8289`. */
import { isIPv6 } from 'node:net'
import type { HostPort } from './invite-line.ts'

/** Beside the HTTP port; where it is taken, as by a second agent, any other is used. */
export const DEFAULT_MESH_PORT = 8289

/** The door is beside the mesh's own port wherever that is free. */
export const doorPortBeside = (port: number): number => (port < 65_535 ? port + 1 : port - 1)

/** And the listener for large bytes beside both. */
export const bulkPortBeside = (port: number): number => (port < 65_534 ? port + 2 : port - 2)

/** All that an agent whose mesh has this port would like to listen on. */
export const portsBeside = (port: number): number[] => [
  port,
  doorPortBeside(port),
  bulkPortBeside(port),
]

/** @returns undefined for what is no address. */
export function parsePeerAddress(text: string): HostPort | undefined {
  const multiaddr = /^\/(?:ip[46]|dns[46]?)\/([^/]+)\/tcp\/(\d+)(?:\/p2p\/\w+)?\/?$/.exec(text)
  if (multiaddr !== null) return hostPort(multiaddr[1]!, multiaddr[2]!)
  if (isIPv6(text)) return hostPort(text, undefined)
  const plain = /^(?:\[([^\]]+)\]|([\w.-]+))(?::(\d+))?$/.exec(text)
  if (plain === null) return undefined
  const [, ipv6, name, port] = plain
  if (ipv6 !== undefined && !isIPv6(ipv6)) return undefined
  return hostPort((ipv6 ?? name)!, port)
}

function hostPort(host: string, digits: string | undefined): HostPort | undefined {
  const port = digits === undefined ? DEFAULT_MESH_PORT : Number(digits)
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}
