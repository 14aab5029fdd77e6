/** kill -9 of a real agent process while it has jobs: each is finished after a restart, once. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readPngText } from '../../src/base/png-text.ts'
import { ask } from '../test-agent.ts'

const program = fileURLToPath(new URL('restart-agent.ts', import.meta.url))

async function start(dataDir: string): Promise<{ url: string; child: ChildProcess }> {
  const child = fork(program, [dataDir], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const [url] = (await once(child, 'message')) as [string]
  return { url, child }
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

t.test('no accepted job is lost or done twice', async (t) => {
  const dataDir = t.testdir()
  const accepted: string[] = []
  for (let round = 0; round < 3; round++) {
    const { url, child } = await start(dataDir)
    t.teardown(() => child.kill('SIGKILL'))
    for (let i = 0; i < 4; i++) {
      const prompt = {
        1: { class_type: 'TN_Int', inputs: { value: accepted.length } },
        2: { class_type: 'TN_Steps', inputs: { x: ['1', 0], steps: 3, ms: 10, preview: false } },
        3: {
          class_type: 'TN_Save',
          inputs: {
            x: ['2', 0],
            filename_prefix: `job${accepted.length}`,
            count: 1,
            folder: 'output',
          },
        },
      }
      const { body } = await ask({ url }, 'POST', '/prompt', { prompt })
      accepted.push(String(body.prompt_id))
    }
    // At another moment of the work each time.
    await new Promise((resolve) => setTimeout(resolve, 40 * round))
    await kill(child)
  }

  const { url, child } = await start(dataDir)
  t.teardown(() => child.kill('SIGKILL'))
  let history: string[] = []
  while (history.length < accepted.length) {
    const { body } = await ask({ url }, 'GET', '/history')
    history = Object.keys(body)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.strictSame([...history].sort(), [...accepted].sort(), 'every accepted job, exactly once')
  t.strictSame((await ask({ url }, 'GET', '/prompt')).body, { exec_info: { queue_remaining: 0 } })
  const files = readdirSync(join(dataDir, 'output'))
  t.equal(files.length, accepted.length, 'each saved once, and nothing half-written is left')
  for (const file of files) {
    const [text] = readPngText(readFileSync(join(dataDir, 'output', file)))
    t.equal(text?.[0], 'prompt', `${file} is whole`)
  }
})
