/** The disk is full: whoever wanted to keep something is told so, and nothing half-written stays. */
import { existsSync, readdirSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, startTestAgent } from '../test-agent.ts'

/** Every file of this process takes no further byte. @returns the function that makes room again. */
async function fillDisk(t: Test, folder: string): Promise<() => void> {
  const file = await open(join(folder, 'any'), 'w')
  await file.close()
  const files = Object.getPrototypeOf(file) as FileHandle
  const { writeFile } = files
  files.writeFile = async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
  const makeRoom = () => {
    files.writeFile = writeFile
  }
  t.teardown(makeRoom)
  return makeRoom
}

const filesIn = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
    : []

t.test('uploads, workflows and settings', async (t) => {
  const agent = await startTestAgent(t, createFakeExecutor())
  const upload = async (overwrite: string) => {
    const form = new FormData()
    form.set('image', new File(['picture'], 'a.png'))
    form.set('overwrite', overwrite)
    const answer = await fetch(`${agent.url}/upload/image`, { method: 'POST', body: form })
    return { status: answer.status, text: await answer.text() }
  }
  const requests = [
    () => upload('false'),
    () => upload('true'),
    () => ask(agent, 'POST', '/userdata/workflows%2Fmine.json', '{}'),
    () => ask(agent, 'POST', '/settings', { 'Comfy.Locale': 'de' }),
    () => ask(agent, 'POST', '/settings/Comfy.Locale', '"de"'),
  ]
  const folders = [join(agent.dataDir, 'input'), join(agent.dataDir, 'user')]
  const before = folders.map(filesIn)
  const makeRoom = await fillDisk(t, agent.dataDir)
  for (const [index, request] of requests.entries()) {
    const { status, text } = await request()
    t.strictSame(
      [status, text],
      [507, 'The disk of the agent is full. Make room there and try again.'],
      `request ${index}`,
    )
  }
  t.strictSame(folders.map(filesIn), before, 'nothing is left behind')
  makeRoom()
  for (const request of requests) t.equal((await request()).status, 200)
})
