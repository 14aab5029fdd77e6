import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import fastify from 'fastify'
import t from 'tap'
import { serveCoordinatorPage } from '../../src/gateway/coordinator-page.ts'

t.test('the page is served as its build left it', async (t) => {
  const script = 'console.log(1)'
  const folder = t.testdir({
    page: {
      'index.html': '<title>page</title>',
      assets: { 'index-Ab1.js': script, 'index-Ab1.js.br': brotliCompressSync(script) },
    },
  })
  const server = fastify()
  t.teardown(() => server.close())
  serveCoordinatorPage(server, join(folder, 'page'))

  const page = await server.inject('/')
  t.match(page, { statusCode: 200, body: '<title>page</title>' })
  t.match(page.headers, {
    'content-type': /^text\/html/,
    'cache-control': /no-store/,
    'content-security-policy': /default-src 'self'/,
  })
  t.notMatch(page.headers, { 'content-security-policy': /sandbox|unsafe-eval/ })

  const headers = { 'accept-encoding': 'br' }
  const compressed = await server.inject({ url: '/assets/index-Ab1.js', headers })
  t.match(compressed.headers, { 'content-encoding': 'br', 'cache-control': /immutable/ })
  t.equal((await server.inject('/assets/index-Ab1.js')).body, script)

  for (const path of ['/queue', '/assets/other.js', '/..%2Fsecret']) {
    t.equal((await server.inject(path)).statusCode, 404, path)
  }
})
