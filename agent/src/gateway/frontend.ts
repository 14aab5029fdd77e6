/**
 * An official ComfyUI frontend, served as it lies in its folder. It finds the API
 * relative to its own page, so server.ts serves the routes below that path too.
 */
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { FRONTEND_PATH } from './frontend-folder.ts'
import { FRONTEND_POLICY } from './security-headers.ts'

/**
 * Serves the files below `/comfy/`; `/comfy` leads there. What is not in the folder is not
 * found: the frontend has one page, and its extensions look for files that may be missing.
 * @param folder as `frontendFolder` found it.
 */
export function serveFrontend(server: FastifyInstance, folder: string): void {
  server.register(fastifyStatic, {
    root: folder,
    prefix: FRONTEND_PATH,
    redirect: true,
    dotfiles: 'ignore',
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      reply.header('content-security-policy', FRONTEND_POLICY)
      if (path.endsWith('index.html')) reply.header('cache-control', 'no-store, must-revalidate')
      // Browsers run a module only under a name of JavaScript; this is its registered one.
      if (/\.m?js$/.test(path)) reply.header('content-type', 'text/javascript; charset=utf-8')
    },
  })
}
