import t from 'tap'
import { ownRoutes } from '../../src/gateway/own-routes.ts'

const request = { params: {}, query: new URLSearchParams(), headers: {}, body: Buffer.alloc(0) }

function answers({ hasFrontend = false, hasPage = false, hasMesh = false, running = 0 }) {
  const runner = { running: () => Array(running), pending: () => [] }
  const identity = { name: 'studio', version: '1.2.3', instance: 'one' }
  const url = () => 'http://127.0.0.1:8288'
  const has = { hasFrontend, hasPage, hasMesh }
  const routes = ownRoutes({ identity, url, uptimeMs: () => 5, runner, ...has })
  return async (path: string) => routes.find((route) => route.path === path)?.handle(request)
}

t.test('without a page, / says what this is and what it does', async (t) => {
  t.match(await answers({})('/'), { status: 200, body: /^comfymesh 1\.2\.3 on studio: idle\.\n/ })
  t.match(await answers({ running: 2 })('/'), { body: /2 running, 0 waiting/ })
  t.equal(await answers({ hasPage: true })('/'), undefined)
})

t.test('health tells where the frontend is, and whether there is a mesh', async (t) => {
  t.match(await answers({ hasFrontend: true })('/health'), { body: /"frontend":"\/comfy\/"/ })
  t.notMatch(await answers({})('/health'), { body: /frontend/ })
  t.match(await answers({})('/health'), { body: /"mesh":false/ })
  t.match(await answers({ hasMesh: true })('/health'), { body: /"mesh":true/ })
})
