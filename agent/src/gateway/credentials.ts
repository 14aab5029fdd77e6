/** How a client shows the agent's token: as header, as cookie, or in a URL. Pure. */

/** What of a request may carry a token. */
export interface TokenCarriers {
  readonly headers: {
    readonly authorization?: string | undefined
    readonly cookie?: string | undefined
  }
  readonly query: URLSearchParams
  /** A browser sends its cookies to every port of a host; each agent has one of its own name. */
  readonly cookieName: string
}

/**
 * The token that a request shows, if any: `Authorization: Bearer`, the password of
 * `Authorization: Basic` (what a URL such as `http://:token@host` becomes), `?token=`, or the cookie.
 */
export function shownToken({ headers, query, cookieName }: TokenCarriers): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (value !== undefined) return /^basic$/i.test(scheme!) ? passwordOf(value) : value
  return query.get('token') ?? cookieOf(headers.cookie, cookieName)
}

function passwordOf(encoded: string): string {
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  return decoded.slice(decoded.indexOf(':') + 1)
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const [key, value] = part.trim().split('=', 2)
    if (key === name) return value
  }
  return undefined
}

/** A browser that opened the link once need not be told again for a year. */
const COOKIE_SECONDS = 365 * 24 * 60 * 60

/** Scripts cannot read it, and pages of other sites cannot make a browser send it. */
export function tokenCookie(name: string, token: string): string {
  return `${name}=${token}; Path=/; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Strict`
}

/** Takes a cookie away that opens nothing any more. */
export function noCookie(name: string): string {
  return `${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict`
}

/** The same place without the token, for the address bar and the history; always on this host. */
export function withoutToken(url: string): string {
  const [path = '', search = ''] = url.split(/\?(.*)/s, 2)
  const query = new URLSearchParams(search)
  query.delete('token')
  const rest = query.size === 0 ? '' : `?${query}`
  return `/${path.replace(/^[\\/]+/, '')}${rest}`
}
