/** kill -9 of the built agent while its runner computes: after a restart every job ends, once. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { testBuiltAgent } from '../built-agent.ts'
import { descendants, isAlive } from '../processes.ts'
import { ask, connect } from '../test-agent.ts'
import { decodePixels, historyOf, pictureOf, submit, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

t.test('one job runs and one waits when the agent is killed', async (t) => {
  const killed = await testBuiltAgent(t)
  const socket = await connect(t, killed, '?clientId=c')
  const running = await submit(killed, textToImage({ seed: 1, steps: 50 }), 'c')
  const waiting = await submit(killed, textToImage({ seed: 2 }), 'c')
  await socket.until(({ type, data }) => type === 'progress' && data.prompt_id === running)
  const runners = await descendants(killed.pid)
  await killed.kill()

  const agent = await testBuiltAgent(t, killed.dataDir)
  for (const id of [running, waiting]) {
    const entry = await historyOf(agent, id)
    t.match(entry.status, { status_str: 'success', completed: true })
    t.ok(await decodePixels(await pictureOf(agent, entry)))
  }
  const { body } = await ask(agent, 'GET', '/history')
  t.strictSame(Object.keys(body), [running, waiting], 'each once, in their order')
  t.equal(readdirSync(agent.outputDir).length, 2, 'and so are their pictures')
  for (const pid of runners) t.notOk(await isAlive(pid), 'the runner went with its agent')
})
