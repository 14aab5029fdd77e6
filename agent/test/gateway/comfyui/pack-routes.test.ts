/** What a ComfyUI without node packs, templates and assets says of them. */
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

t.test('there are none', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const answers = {
    '/extensions': '[]',
    '/i18n': '{}',
    '/workflow_templates': '{}',
    '/global_subgraphs': '{}',
    '/global_subgraphs/abc': 'null',
    '/node_replacements': '{}',
  }
  for (const [path, text] of Object.entries(answers)) {
    for (const prefix of ['', '/api']) {
      const answer = await ask(agent, 'GET', prefix + path)
      t.strictSame([answer.status, answer.text], [200, text], prefix + path)
    }
  }
  for (const path of ['/api/assets', '/api/assets/hash/blake3:ab', '/api/tags']) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const answer = await ask(agent, method, path)
      t.equal(answer.status, 503, `${method} ${path}`)
      t.match(answer.body.error, { code: 'SERVICE_DISABLED', message: String, details: {} })
    }
  }
  for (const path of ['/assets', '/docs/x.md', '/templates/index.json', '/extensions/a/b.js'])
    t.strictSame((await ask(agent, 'GET', path)).text, '404: Not Found', path)
  t.strictSame((await ask(agent, 'POST', '/api/nothing')).text, '405: Method Not Allowed')
})
