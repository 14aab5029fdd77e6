/**
 * Who may speak to the agent through a browser. A page of another site must not
 * reach it, neither directly nor by a name that it made point here (DNS rebinding).
 */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { hostname } from 'node:os'

/** What a request says about where it comes from; names in lower case. */
export interface EdgeHeaders {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly referer?: string | undefined
  readonly 'sec-fetch-site'?: string | undefined
  readonly 'sec-fetch-mode'?: string | undefined
  readonly 'sec-fetch-dest'?: string | undefined
}

/** Who is welcome besides this agent's own pages under this machine's own names. */
export interface EdgeRules {
  /** Names by which this machine is called, addresses aside; lower case. */
  readonly hosts: readonly string[]
  /** Pages that may use the agent, such as `http://localhost:5173`. */
  readonly origins: readonly string[]
}

/** The rules of a machine whose user allows `hosts` and `origins` on top of its own. */
export function edgeRules(hosts: readonly string[], origins: readonly string[]): EdgeRules {
  return { hosts: [...ownNames(), ...hosts], origins }
}

/**
 * Why a request is refused, or undefined. Programs send no Origin and may pass; in a
 * browser the page must be of this very host and port, or one that the user allowed.
 */
export function refusal(
  method: string,
  headers: EdgeHeaders,
  rules: EdgeRules,
): string | undefined {
  const host = parseHost(headers.host)
  if (host === undefined) return 'The Host header is missing or malformed.'
  if (!isOwnName(host.name, rules.hosts))
    return `This agent is not called ${host.name}. Use its address or localhost, or start it with --allow-host ${host.name}.`
  const { origin } = headers
  if (origin !== undefined) {
    if (isOwnOrigin(origin, host) || rules.origins.includes(origin)) return undefined
    return `Pages of ${origin} may not use this agent, unless it is started with --allow-origin ${origin}.`
  }
  if (headers['sec-fetch-site'] !== 'cross-site' || isFollowedLink(method, headers))
    return undefined
  if (rules.origins.includes(originOf(headers.referer))) return undefined
  return 'Pages of other sites may not use this agent.'
}

/** What an allowed page of another origin needs to hear, so that its browser gives it the answer. */
export function corsHeaders(
  origin: string | undefined,
  { origins }: EdgeRules,
): { readonly [name: string]: string } {
  if (origins.length === 0) return {}
  if (origin === undefined || !origins.includes(origin)) return { vary: 'Origin' }
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'POST, GET, DELETE, PUT, OPTIONS, PATCH',
    'access-control-allow-headers': 'Content-Type, Authorization, Comfy-User',
    // Chromium asks before a page of the internet speaks to a private address.
    'access-control-allow-private-network': 'true',
  }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can reach what listens on `host`, or speaks from it. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '')
  if (isIP(address) === 0) return address.toLowerCase() === 'localhost'
  return loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** The names under which machines of the same network know this one. */
function ownNames(): string[] {
  const name = hostname().toLowerCase()
  return [name, name.split('.')[0]!, `${name}.local`]
}

/** An address cannot be made to point elsewhere, so it is never the fruit of rebinding. */
function isOwnName(name: string, names: readonly string[]): boolean {
  if (isIP(name) !== 0) return true
  return name === 'localhost' || name.endsWith('.localhost') || names.includes(name)
}

/** A person who follows a link sees the page; the page that has the link sees nothing. */
function isFollowedLink(method: string, headers: EdgeHeaders): boolean {
  const isPage =
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  return method === 'GET' && isPage
}

interface Host {
  readonly name: string
  /** Empty where it is the scheme's own. */
  readonly port: string
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*)(?::(\d{1,5}))?$/i

/** A last dot only says that the name is complete. */
function parseHost(text: string | undefined): Host | undefined {
  const match = HOST.exec(text ?? '')
  if (match === null) return undefined
  const name = match[1]!.toLowerCase().replace(/^\[|\]$|\.$/g, '')
  return { name, port: match[2] ?? '' }
}

/** Whether a page's origin can be told from others by this text, as browsers write it. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && /^https?:/.test(text) && new URL(text).origin === text
}

const defaultPorts: { readonly [scheme: string]: string } = { http: '80', https: '443' }

function isOwnOrigin(origin: string, host: Host): boolean {
  const [, scheme, authority] = /^(https?):\/\/([^/]+)$/.exec(origin) ?? []
  const page = parseHost(authority)
  if (scheme === undefined || page?.name !== host.name) return false
  const usual = defaultPorts[scheme]!
  return (page.port || usual) === (host.port || usual)
}

/** `http://localhost:5173` of `http://localhost:5173/page`; empty where there is none. */
function originOf(url: string | undefined): string {
  return /^https?:\/\/[^/]+/.exec(url ?? '')?.[0] ?? ''
}
