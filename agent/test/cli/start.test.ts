/** What `start` says; that it starts and stops is tested with the built program. */
import t from 'tap'
import type { AgentSettings } from '../../src/agent.ts'
import { greeting } from '../../src/cli/start.ts'
import { testSettings } from '../test-agent.ts'

const said = (settings: Partial<AgentSettings>, token?: string, environment = {}) => {
  const agent = { url: 'http://127.0.0.1:1', ...(token !== undefined && { token }) }
  return greeting(agent, { ...testSettings('/data'), ...settings }, environment).join('\n')
}

t.test('an agent that asks for a token tells how to open it', async (t) => {
  const token = 'abcdefghijklmnop'
  t.match(said({ host: '0.0.0.0' }, token), `  open      http://127.0.0.1:1/?token=${token}\n`)
  t.notMatch(said({}), /token|open /)
  const proxied = said({ allowedHosts: ['comfy.example.org'] }, token)
  t.match(proxied, `at comfy.example.org, with /?token=${token}`)
})

t.test('an agent that is open to everybody says so', async (t) => {
  t.match(said({ host: '0.0.0.0', token: false }), 'Warning: it listens on 0.0.0.0')
  t.notMatch(said({ host: '0.0.0.0' }, 'abcdefghijklmnop'), /Warning/)
})

t.test('variables that are no settings are told of', async (t) => {
  const environment = {
    COMFYMESH_PROT: '9',
    COMFYMESH_PORT: '9',
    COMFYMESH_CHROMIUM: 'x',
    PATH: '',
  }
  t.strictSame(said({}, undefined, environment).match(/Warning: .*/g), [
    'Warning: the variable COMFYMESH_PROT is no setting and has no effect; did you mean COMFYMESH_PORT?',
  ])
})
