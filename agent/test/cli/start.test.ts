/** What `start` says; that it starts and stops is tested with the built program. */
import t from 'tap'
import { greeting } from '../../src/cli/start.ts'
import { testSettings } from '../test-agent.ts'

const said = (host: string) =>
  greeting('http://127.0.0.1:1', { ...testSettings('/data'), host }).join('\n')

t.test('an agent that is open to the network says so', async (t) => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'studio-pc'])
    t.match(said(host), `Warning: it listens on ${host} and asks for no password`)
  for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'localhost'])
    t.notMatch(said(host), /Warning/, host)
})
