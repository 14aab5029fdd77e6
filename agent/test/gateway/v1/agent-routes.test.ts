/** What an agent tells of itself: where it is reached, and its token. */
import { agentStateSchema } from '@comfymesh/protocol/agent-state'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

const TOKEN = 'a-token-for-this-test-alone'

t.test('an agent of this machine alone', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const state = agentStateSchema.parse((await ask(agent, 'GET', '/v1/agent')).body)
  t.match(state, { name: 'test', url: agent.url, isOpenToOthers: false, asksForToken: false })
  t.strictSame(state.addresses, [])
  t.ok(state.folders.some(({ path }) => path === agent.dataDir))
  const token = await ask(agent, 'GET', '/v1/agent/token')
  t.equal(token.status, 404)
  t.match(token.body, { error: { message: /asks nobody/ } })
})

t.test('the token is told to those alone who have shown it', async (t) => {
  const settings = { token: TOKEN, host: '0.0.0.0', allowedHosts: ['art.example'] }
  const agent = await startTestAgent(t, createFakeExecutor(), undefined, settings)
  const authorization = { authorization: `Bearer ${TOKEN}` }
  const shown = await ask(agent, 'GET', '/v1/agent/token', undefined, authorization)
  t.strictSame(shown.body, { token: TOKEN })
  for (const headers of [{}, { authorization: 'Bearer another-token-of-somebody' }]) {
    const refused = await ask(agent, 'GET', '/v1/agent/token', undefined, headers)
    t.equal(refused.status, 401)
    t.notMatch(refused.text, TOKEN)
  }
  const { body } = await ask(agent, 'GET', '/v1/agent', undefined, authorization)
  const { addresses, isOpenToOthers } = agentStateSchema.parse(body)
  t.ok(isOpenToOthers)
  t.equal(addresses[0], 'http://art.example')
  t.match(addresses.at(-1), new RegExp(`:${new URL(agent.url).port}$`))
  t.notMatch(JSON.stringify(body), TOKEN)
})
