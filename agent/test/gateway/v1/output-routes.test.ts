import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFakeExecutor } from '../../fake-executor.ts'
import { ask, startTestAgent } from '../../test-agent.ts'

const saving = (count: number, folder = 'output') => ({
  1: { class_type: 'TN_Int', inputs: { value: 1 } },
  2: { class_type: 'TN_Save', inputs: { x: ['1', 0], filename_prefix: 'a/b', count, folder } },
})

async function outputOf(agent: { url: string }, prompt: object): Promise<string> {
  const { body } = await ask(agent, 'POST', '/v1/jobs', { prompt })
  return (body.links as { output: string }).output
}

t.test('one picture is itself, several are a list', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const one = await outputOf(agent, saving(1))
  const picture = await ask(agent, 'GET', `${one}?wait=30`)
  t.equal(picture.type, 'image/png')
  const list = await ask(agent, 'GET', `${one}?list=true`)
  t.match(list.body.files, [{ index: 0, nodeId: '2', subfolder: 'a', url: `${one}?index=0` }])

  const three = await outputOf(agent, saving(3))
  const { body } = await ask(agent, 'GET', `${three}?wait=30`)
  const files = body.files as { url: string }[]
  t.equal(files.length, 3)
  for (const { url } of files) t.equal((await ask(agent, 'GET', url)).type, 'image/png')
  t.equal((await ask(agent, 'GET', `${three}?index=3`)).status, 404)

  rmSync(join(agent.dataDir, 'output', 'a'), { recursive: true })
  const gone = await ask(agent, 'GET', one)
  t.equal(gone.status, 404)
  t.match(gone.body, {
    error: { code: 'not_found', message: /b_00001_.png .* not there any more/ },
  })
})

t.test('what was only shown counts where nothing was saved', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const url = await outputOf(agent, saving(1, 'temp'))
  t.equal((await ask(agent, 'GET', `${url}?wait=30`)).type, 'image/png')
})

t.test('a job that has not ended is waited for, as long as is asked', async (t) => {
  const executor = createFakeExecutor()
  let open = () => {}
  executor.gate = new Promise((resolve) => {
    open = resolve
  })
  const agent = await startTestAgent(t, executor)
  const url = await outputOf(agent, saving(1))
  const early = await ask(agent, 'GET', url)
  t.equal(early.status, 202)
  t.match(early.body, { status: /queued|running/ })
  t.equal((await ask(agent, 'GET', `${url}?wait=0.01`)).status, 202)
  t.equal((await ask(agent, 'GET', `${url}?wait=forever`)).status, 400)
  const waiting = ask(agent, 'GET', `${url}?wait=60`)
  open()
  t.equal((await waiting).type, 'image/png')
})

t.test('a job without a result says why', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const failing = {
    1: { class_type: 'TN_Int', inputs: { value: 1 } },
    2: { class_type: 'TN_Fail', inputs: { x: ['1', 0] } },
    3: { class_type: 'TN_Out', inputs: { x: ['2', 0] } },
  }
  const failed = await ask(agent, 'GET', `${await outputOf(agent, failing)}?wait=30`)
  t.equal(failed.status, 409)
  t.match(failed.body, { error: { code: 'node_failed', message: /boom/ } })

  const shown = { 1: failing[1], 3: { class_type: 'TN_Out', inputs: { x: ['1', 0] } } }
  const none = await ask(agent, 'GET', `${await outputOf(agent, shown)}?wait=30`)
  t.strictSame(none.body.files, [])
  t.equal((await ask(agent, 'GET', '/v1/jobs/nobody/output?wait=5')).status, 404)
})
