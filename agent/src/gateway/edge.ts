/**
 * Who may speak to the agent through a browser. A page of another site must not
 * reach it, neither directly nor by a name that it made point here (DNS rebinding).
 */
import { isIP } from 'node:net'
import { hostname } from 'node:os'

export interface EdgeHeaders {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly 'sec-fetch-site'?: string | undefined
}

/**
 * Why a request is refused, or undefined. Programs send no Origin and may pass; for a
 * browser the page must come from this very host and port.
 * @param names by which this machine may be called besides its addresses.
 */
export function refusal(
  headers: EdgeHeaders,
  names: readonly string[] = ownNames(),
): string | undefined {
  const host = parseHost(headers.host)
  if (host === undefined) return 'The Host header is missing or malformed.'
  if (!isOwnName(host.name, names))
    return `This agent is not called ${host.name}. Use its address, or localhost.`
  if (headers['sec-fetch-site'] === 'cross-site')
    return 'Pages of other sites may not use this agent.'
  const { origin } = headers
  if (origin === undefined) return undefined
  const page = parseHost(/^https?:\/\/([^/]+)$/.exec(origin)?.[1])
  if (page?.name === host.name && page.port === host.port) return undefined
  return `Pages of ${origin} may not use this agent.`
}

/** The names under which machines of the same network know this one. */
export function ownNames(): string[] {
  const name = hostname().toLowerCase()
  return [name, name.split('.')[0]!, `${name}.local`]
}

/** An address cannot be made to point elsewhere, so it is never the fruit of rebinding. */
function isOwnName(name: string, names: readonly string[]): boolean {
  if (isIP(name) !== 0) return true
  return name === 'localhost' || name.endsWith('.localhost') || names.includes(name)
}

function parseHost(text: string | undefined): { name: string; port: string } | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(text ?? '')
  if (match === null) return undefined
  return { name: match[1]!.toLowerCase().replace(/^\[|\]$/g, ''), port: match[2] ?? '' }
}
