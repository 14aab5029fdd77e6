/** A script that polls, as people write them with curl and Python's urllib: no WebSocket, odd content types. */
import sharp from 'sharp'
import t from 'tap'
import { textToImage } from '../e2e/prompts.ts'
import { sharedAgent } from '../shared-agent.ts'
import { ask, finished } from '../test-agent.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)
const idleAgent = sharedAgent(t)

/** What the HTTP libraries send when nobody names a type. */
const types = {
  'curl -d and urllib': 'application/x-www-form-urlencoded',
  'requests with json=': 'application/json',
  'a browser with a string': 'text/plain;charset=UTF-8',
  'none at all': '',
}

t.test('queue, poll, look', async (t) => {
  const agent = await idleAgent()
  for (const [who, type] of Object.entries(types)) {
    const body = JSON.stringify({ prompt: textToImage() })
    const answer = await ask(agent, 'POST', '/prompt', body, { 'content-type': type })
    t.equal(answer.status, 200, who)
    const id = String(answer.body.prompt_id)
    const entry = (await finished(agent, id)) as { outputs: { 9: { images: object[] } } }
    const [image] = entry.outputs[9].images
    const query = new URLSearchParams({ ...image })
    const response = await fetch(`${agent.url}/view?${query}`)
    t.equal(response.status, 200)
    const picture = Buffer.from(await response.arrayBuffer())
    t.match(await sharp(picture).metadata(), { width: 64, height: 64 }, who)
  }
  const { body } = await ask(agent, 'GET', '/history')
  t.equal(Object.keys(body).length, Object.keys(types).length)
})

t.test('a client id of any shape is accepted', async (t) => {
  const agent = await idleAgent()
  for (const client_id of ['', 'x', 7, null, { a: 1 }]) {
    const answer = await ask(agent, 'POST', '/prompt', { prompt: textToImage(), client_id })
    t.equal(answer.status, 200, JSON.stringify(client_id))
    await finished(agent, String(answer.body.prompt_id))
  }
})
