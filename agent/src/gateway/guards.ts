/**
 * What holds for every request, whichever route it is for: where it may come from,
 * how many there may be, the token, and the headers that keep browsers careful.
 */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isSameToken } from '../store/access-token.ts'
import { noCookie, shownToken, tokenCookie, withoutToken } from './credentials.ts'
import { corsHeaders, type EdgeRules, isLoopback, refusal } from './edge.ts'
import { queryOf, send } from './fastify-routes.ts'
import { type Answer, empty } from './route.ts'
import { answerHeaders } from './security-headers.ts'
import { told } from './told.ts'

export interface GuardOptions {
  readonly rules: EdgeRules
  /** What everybody has to show; undefined where nobody has to. */
  readonly token?: () => string
}

/** Answers the request in place of its route, or lets it pass. */
type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<Answer | undefined>

/** The only route that needs no token, so that whatever watches over machines can ask it. */
const OPEN_ROUTE = '/health'

const RATE_WINDOW_MS = 5000

/**
 * Requests of one address (of one /64 in IPv6) in a window. A script that submits a thousand
 * prompts at once passes, and so does a frontend's boot with its few hundred files; a loop
 * gone wild does not. Programs of this machine wait for nothing, so they may ask more often.
 */
const MAX_REQUESTS = { loopback: 3000, elsewhere: 1500 }

/** Wrong tokens of one address in a minute: nobody mistypes so often, and nobody guesses so slowly. */
const MAX_WRONG_TOKENS = 30

/** Installs the guards; registered before all routes, so that none is without them. */
export function installGuards(server: FastifyInstance, options: GuardOptions): void {
  server.register(rateLimit, { global: false })
  server.after(() => {
    const guards: readonly Guard[] = [
      wellFormed,
      rate(server),
      async ({ method, headers, url }) => {
        const refused = refusal(method, headers, options.rules)
        return refused === undefined ? undefined : told(url, refused, 403)
      },
      async ({ method }) => (method === 'OPTIONS' ? empty() : undefined),
      ...(options.token === undefined ? [] : [tokenGuard(server, options.token)]),
    ]
    server.addHook('onRequest', async (request, reply) => {
      reply.headers(answerHeaders(options.rules.origins.length > 0))
      reply.headers(corsHeaders(request.headers.origin, options.rules))
      for (const guard of guards) {
        const answer = await guard(request, reply)
        if (answer !== undefined) return send(reply, answer)
      }
    })
  })
}

/** One host, said once: proxies and servers that disagree about it can be played off against each other. */
const wellFormed: Guard = async ({ raw, url }) => {
  const hosts = raw.rawHeaders.filter((name, i) => i % 2 === 0 && /^host$/i.test(name))
  if (hosts.length > 1) return told(url, 'There is more than one Host header.', 400)
  const isPath = url.startsWith('/') || (raw.method === 'OPTIONS' && url === '*')
  return isPath ? undefined : told(url, 'The request names a whole URL instead of a path.', 400)
}

function rate(server: FastifyInstance): Guard {
  const count = server.createRateLimit({
    max: ({ ip }) => (isLoopback(ip) ? MAX_REQUESTS.loopback : MAX_REQUESTS.elsewhere),
    timeWindow: RATE_WINDOW_MS,
  })
  return async (request) => tooMany(request, await count(request), 'Too many requests.')
}

function tooMany(
  { url }: FastifyRequest,
  counted: {
    readonly isAllowed: boolean
    readonly isExceeded?: boolean
    readonly ttlInSeconds?: number
  },
  what: string,
): Answer | undefined {
  if (!counted.isExceeded) return undefined
  const seconds = counted.ttlInSeconds ?? 1
  const { headers, ...answer } = told(url, `${what} Try again in ${seconds} s.`, 429)
  return { ...answer, headers: { ...headers, 'retry-after': seconds } }
}

const ASK =
  'This agent asks for its token. Open the link that it printed when it started, or send the token ' +
  'as `Authorization: Bearer <token>`. `comfymesh token` prints it on the machine where the agent runs.'

/**
 * Everybody has to show the token, this machine's programs too: a proxy that runs here would
 * make the whole internet look like this machine.
 */
function tokenGuard(server: FastifyInstance, token: () => string): Guard {
  const wrong = server.createRateLimit({ max: MAX_WRONG_TOKENS, timeWindow: '1 minute' })
  return async (request, reply) => {
    if (request.routeOptions.url === OPEN_ROUTE) return undefined
    const cookieName = `comfymesh-${request.socket.localPort}`
    const query = queryOf(request)
    const shown = shownToken({ headers: request.headers, query, cookieName })
    if (shown === undefined) return unauthorized(request, ASK)
    const counted = await wrong(request, { increment: false })
    const limited = tooMany(request, counted, 'Too many wrong tokens.')
    if (limited !== undefined) return limited
    if (!isSameToken(shown, token())) {
      await wrong(request)
      reply.header('set-cookie', noCookie(cookieName))
      return unauthorized(request, `This is not the agent's token. ${ASK}`)
    }
    if (!query.has('token') || !isPage(request)) return undefined
    reply.header('set-cookie', tokenCookie(cookieName, shown))
    return { status: 303, headers: { location: withoutToken(request.url) } }
  }
}

/** A browser that opens a link; a program that puts the token into its URLs wants its answer. */
function isPage({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html')
}

function unauthorized({ url }: FastifyRequest, words: string): Answer {
  const { headers, ...answer } = told(url, words, 401)
  return { ...answer, headers: { ...headers, 'www-authenticate': 'Bearer realm="comfymesh"' } }
}
