import { join } from 'node:path'
import t from 'tap'
import { UsageError } from '../../src/cli/arguments.ts'
import { readPrompt } from '../../src/cli/prompt-file.ts'

const node = '{"class_type":"KSampler","inputs":{"seed":18446744073709551615}}'
const folder = t.testdir({
  'prompt.json': `\uFEFF{"3":${node}}`,
  'request.json': `{"prompt":{"3":${node}},"client_id":"x"}`,
  'workflow.json': '{"nodes":[],"links":[],"version":0.4}',
  'other.json': '{"a":1}',
  'empty.json': '{}',
  'broken.json': '{"3":',
})

t.test('a prompt, or the prompt of a request', async (t) => {
  for (const name of ['prompt.json', 'request.json']) {
    const prompt = await readPrompt(join(folder, name))
    t.equal(prompt['3']!.inputs.seed, 18446744073709551615n, '64-bit seeds stay intact')
  }
})

t.test('other files are refused with a reason', async (t) => {
  const refused = (name: string, message: RegExp) =>
    t.rejects(readPrompt(join(folder, name)), { constructor: UsageError, message }, name)
  await refused('workflow.json', /workflow as it is drawn. Export it/)
  await refused('other.json', /not a prompt in ComfyUI's API format/)
  await refused('empty.json', /not a prompt/)
  await refused('broken.json', /not valid JSON/)
  await refused('absent.json', /there is no such file/)
})

t.test('a node without inputs can be edited like others', async (t) => {
  const path = join(t.testdir({ 'prompt.json': '{"1":{"class_type":"A"}}' }), 'prompt.json')
  t.strictSame(await readPrompt(path), { 1: { class_type: 'A', inputs: {} } })
})
