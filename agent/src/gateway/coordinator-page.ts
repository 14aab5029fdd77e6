/**
 * The coordinator page, as its build left it. One page with everything after the `#`, so
 * every other path stays ComfyUI's.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { COORDINATOR_POLICY } from './security-headers.ts'

/** Names of built files carry a hash of what is in them. */
const HASHED_MAX_AGE_SECONDS = 365 * 24 * 60 * 60

/** The built page: in the package, or in the repository beside it; undefined where it was not built. */
export function coordinatorPageFolder(): string | undefined {
  return ['../../page', '../../../coordinator-ui/dist']
    .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
    .find((folder) => existsSync(join(folder, 'index.html')))
}

/** Serves the page at `/`, compressed ahead of time where the browser takes it. */
export function serveCoordinatorPage(server: FastifyInstance, folder: string): void {
  server.register(fastifyStatic, {
    root: folder,
    prefix: '/',
    // A route for each file that there is; the rest stays free for ComfyUI's paths.
    wildcard: false,
    preCompressed: true,
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      reply.header('content-security-policy', COORDINATOR_POLICY)
      const isHashed = /[\\/]assets[\\/]/.test(path)
      const hashed = `public, max-age=${HASHED_MAX_AGE_SECONDS}, immutable`
      reply.header('cache-control', isHashed ? hashed : 'no-store, must-revalidate')
    },
  })
}
