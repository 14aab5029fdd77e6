import t from 'tap'
import { cacheControl } from '../../src/gateway/cache-control.ts'

const rows: readonly [path: string, status: number, value: string | undefined][] = [
  ['/comfy/assets/index-1.js', 200, 'no-store'],
  ['/comfy/assets/index-1.js', 404, 'no-store'],
  ['/api/userdata/user.css', 404, 'no-store'],
  ['/templates/index.json', 200, 'no-store'],
  ['/templates/index.zh.json', 200, 'no-store'],
  ['/templates/other.json', 200, undefined],
  ['/index/other.json', 200, undefined],
  ['/comfy/assets/worker.mjs', 200, undefined],
  ['/comfy/assets/logo.PNG', 200, 'public, max-age=86400'],
  ['/comfy/assets/logo.png', 206, 'public, max-age=86400'],
  ['/comfy/assets/logo.webp', 404, 'public, max-age=3600'],
  ['/comfy/assets/logo.jpeg', 304, undefined],
  ['/comfy/assets/logo.jpg', 403, undefined],
  ['/comfy/assets/logo.svg', 200, undefined],
  ['/view', 200, undefined],
]

for (const [path, status, value] of rows) {
  t.test(`${status} ${path}`, async (t) => t.equal(cacheControl(path, status), value))
}
