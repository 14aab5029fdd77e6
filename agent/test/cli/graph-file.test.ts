import { join } from 'node:path'
import t from 'tap'
import { insertPngText, type PngText } from '../../src/base/png-text.ts'
import { UsageError } from '../../src/cli/arguments.ts'
import { readGraph } from '../../src/cli/graph-file.ts'
import { tinyPng } from '../fake-executor.ts'

const node = '{"class_type":"KSampler","inputs":{"seed":18446744073709551615}}'
const drawn = '{"nodes":[{"id":3,"type":"KSampler"}],"links":[]}'
const picture = (texts: readonly PngText[]) => Buffer.from(insertPngText(tinyPng(), texts))
const folder = t.testdir({
  'both.png': picture([
    ['prompt', `{"3":${node}}`],
    ['workflow', drawn],
  ]),
  'workflow.png': picture([['workflow', drawn]]),
  'plain.png': picture([]),
  'cut.png': picture([['workflow', drawn]]).subarray(0, 60),
  'submission.json': `{"workflow":${drawn},"prompt":{"3":${node}}}`,
  'named.json': `{"prompt":${node},"workflow":${node}}`,
  'prompt.json': `\uFEFF{"3":${node}}`,
  'request.json': `{"prompt":{"3":${node}},"client_id":"x"}`,
  'workflow.json': '{"nodes":[],"links":[],"version":0.4}',
  'other.json': '{"a":1}',
  'empty.json': '{}',
  'broken.json': '{"3":',
  'text.json': 'not\njson\n',
  'nothing.json': '\n',
})

t.test('a prompt, or the prompt of a request', async (t) => {
  for (const name of ['prompt.json', 'request.json']) {
    const { prompt } = await readGraph(join(folder, name))
    t.equal(prompt!['3']!.inputs.seed, 18446744073709551615n, '64-bit seeds stay intact')
  }
})

t.test('a workflow, bare, in a request, or in a picture', async (t) => {
  for (const name of ['workflow.json', 'workflow.png']) {
    const { workflow, prompt } = await readGraph(join(folder, name))
    t.ok(Array.isArray(workflow?.nodes), name)
    t.equal(prompt, undefined)
  }
  for (const name of ['both.png', 'submission.json']) {
    const { workflow, prompt } = await readGraph(join(folder, name))
    t.ok(Array.isArray(workflow?.nodes), name)
    t.equal(prompt!['3']!.class_type, 'KSampler', name)
  }
})

t.test('nodes may have any name', async (t) => {
  const { prompt } = await readGraph(join(folder, 'named.json'))
  t.strictSame(Object.keys(prompt!), ['prompt', 'workflow'])
})

t.test('other files are refused with a reason', async (t) => {
  const refused = (name: string, message: RegExp) =>
    t.rejects(readGraph(join(folder, name)), { constructor: UsageError, message }, name)
  await refused('other.json', /neither a workflow as ComfyUI saves it nor a prompt/)
  await refused('empty.json', /neither a workflow/)
  await refused('plain.png', /a picture without a workflow/)
  await refused('cut.png', /no whole PNG file/)
  await refused('broken.json', /not valid JSON/)
  await refused('text.json', /text\.json is not valid JSON: Unexpected token 'o' in "not json "\.$/)
  await refused('nothing.json', /nothing\.json is empty\.$/)
  await refused('.', /could not be read: it is a folder; name a file in it\.$/)
  await refused('absent.json', /there is no such file/)
})

t.test('a node without inputs can be edited like others', async (t) => {
  const path = join(t.testdir({ 'prompt.json': '{"1":{"class_type":"A"}}' }), 'prompt.json')
  t.strictSame((await readGraph(path)).prompt, { 1: { class_type: 'A', inputs: {} } })
})
