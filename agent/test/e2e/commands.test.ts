/** The commands of the built program, with an agent that runs and without one. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import t, { type Test } from 'tap'
import { oneThread, runBuilt, runBuiltUnread, testBuiltAgent } from '../built-agent.ts'
import { ask } from '../test-agent.ts'
import { decodePixels, historyOf, submit, textToImage } from './prompts.ts'

// On a machine that is busy with other things, too.
t.setTimeout(300_000)

const RUN_SEED = '18446744073709551614'

/** `comfymesh run` of the same prompt, from and into folders of its own. */
async function runPrompt(t: Test, argv: readonly string[]) {
  const folder = t.testdir({ 'prompt.json': stringifyJson(textToImage()) })
  const out = join(folder, 'pictures')
  const edits = ['--set', '6.text=a green star', '--seed', RUN_SEED, '--set', 'KSampler.steps=3']
  const command = ['run', join(folder, 'prompt.json'), ...edits, '--out', out, '--json', ...argv]
  const { code, stdout, stderr } = await runBuilt(command)
  t.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  t.equal(report.status, 'completed')
  t.equal(report.pictures.length, 1)
  const [{ path }] = report.pictures
  t.equal(dirname(path), out)
  const picture = readFileSync(path)
  t.match(picture.toString('latin1'), `"seed": ${RUN_SEED}`, 'the edited prompt is in the picture')
  t.match(
    report.nodes.find(({ id }: { id: string }) => id === '3'),
    { classType: 'KSampler' },
  )
  return { report, stderr, pixels: await decodePixels(picture) }
}

t.test('run: with an agent and without one, the same picture', async (t) => {
  const pictures: string[] = []
  const agent = await testBuiltAgent(t, join(t.testdir({}), 'agent'))
  await t.test('with', async (t) => {
    const { report, pixels } = await runPrompt(t, ['--port', new URL(agent.url).port])
    t.equal(report.agent, agent.url)
    pictures.push(pixels)
  })
  await t.test('without', async (t) => {
    const dataDir = join(t.testdir({}), 'data')
    const { report, pixels } = await runPrompt(t, [
      ...oneThread,
      '--port',
      '0',
      '--data-dir',
      dataDir,
    ])
    t.not(report.agent, agent.url)
    pictures.push(pixels)
  })
  t.ok(pictures[0] === pictures[1], 'the same pixels')
})

t.test('run: onnxruntime tells nobody of it', { skip: process.platform === 'win32' }, async (t) => {
  // It keeps what it sends, and an identifier, below these; and says nothing where CI is set.
  const folder = t.testdir({ home: {}, tmp: {}, 'prompt.json': stringifyJson(textToImage()) })
  const [HOME, TMPDIR] = [join(folder, 'home'), join(folder, 'tmp')]
  const where = ['--port', '0', '--data-dir', join(folder, 'data'), '--out', join(folder, 'out')]
  const { code, stderr } = await runBuilt(
    ['run', join(folder, 'prompt.json'), ...oneThread, ...where],
    { HOME, TMPDIR, XDG_CACHE_HOME: HOME, CI: undefined, ORT_DISABLE_TELEMETRY: undefined },
  )
  t.equal(code, 0, stderr)
  t.strictSame([...readdirSync(HOME), ...readdirSync(TMPDIR)], [])
})

t.test('run: goes on where nobody reads what it prints', async (t) => {
  const folder = t.testdir({ 'prompt.json': stringifyJson(textToImage()) })
  const where = ['--port', '0', '--data-dir', join(folder, 'data'), '--out', join(folder, 'out')]
  const argv = ['run', join(folder, 'prompt.json'), ...oneThread, ...where]
  t.match(await runBuiltUnread(argv), { code: 0, stderr: /^(?!.*EPIPE)/s })
  t.equal(readdirSync(join(folder, 'out')).length, 1)
})

t.test('run: a prompt that is refused', async (t) => {
  const prompt = textToImage({ checkpoint: 'missing.safetensors' })
  const folder = t.testdir({ 'prompt.json': stringifyJson(prompt) })
  const where = ['--port', '0', '--data-dir', join(folder, 'data')]
  const { code, stderr } = await runBuilt(['run', join(folder, 'prompt.json'), ...where])
  t.equal(code, 2)
  t.match(stderr, /CheckpointLoaderSimple \(node 4\).*missing\.safetensors/)
})

t.test('doctor: what it finds, as JSON', async (t) => {
  const folder = t.testdir({ models: { checkpoints: {} } })
  const broken = join(folder, 'models', 'checkpoints', 'broken.safetensors')
  writeFileSync(broken, 'not a model')
  const where = ['--port', '0', '--data-dir', join(folder, 'data')]
  const argv = ['doctor', '--json', '--models', join(folder, 'models'), ...where]
  const { code, stdout, stderr } = await runBuilt(argv)
  t.equal(code, 0, stderr)
  const { ok, findings } = parseJson(stdout) as unknown as {
    ok: boolean
    findings: { check: string; state: string; message: string }[]
  }
  t.equal(ok, true)
  const says = (pattern: RegExp) => findings.some(({ message }) => pattern.test(message))
  t.ok(says(/cpu computes correctly/), 'the CPU provider passed its self-test')
  t.ok(says(/broken\.safetensors/), 'the broken file is named')
  for (const check of ['Node.js', 'Memory', 'Models', 'Disk', 'Port']) {
    t.ok(
      findings.some((one) => one.check === check),
      check,
    )
  }
})

t.test('doctor: what prevents work ends with 1', async (t) => {
  const folder = t.testdir({ file: 'in the way' })
  const argv = ['doctor', '--port', '0', '--data-dir', join(folder, 'file', 'data')]
  const { code, stdout } = await runBuilt(argv)
  t.equal(code, 1)
  t.match(stdout, /✗ Data folder .*file/)
})

t.test('doctor: settings that cannot be used are findings, and the rest is examined', async (t) => {
  const folder = t.testdir({ data: { 'comfymesh.yaml': 'colour: red\nthreads: many\n' } })
  const wrong = ['--models', join(folder, 'absent'), '--vram', 'much', '--port', '0']
  const { code, stdout } = await runBuilt(['doctor', ...wrong, '--data-dir', join(folder, 'data')])
  t.equal(code, 1)
  for (const words of [
    /no setting `colour`/,
    /`threads` should be/,
    /--vram should be/,
    /absent/,
  ]) {
    t.match(stdout, words)
  }
  t.match(stdout, /✓ Provider/)
  t.match(stdout, /4 problems prevent work/)
})

t.test('queue: pauses, reorders and cancels, and a restart forgets nothing', async (t) => {
  const agent = await testBuiltAgent(t, join(t.testdir({}), 'agent'))
  const queue = async (port: string, ...words: string[]) => {
    const { code, stdout, stderr } = await runBuilt(['queue', ...words, '--json', '--port', port])
    t.equal(code, 0, stderr)
    return JSON.parse(stdout) as { paused: boolean; summary: string; jobs: { id: string }[] }
  }
  const { port } = new URL(agent.url)
  t.match(await queue(port, 'pause'), { paused: true, summary: 'paused, 0 queued, 0 running' })
  const ids: string[] = []
  for (const seed of [1, 2, 3]) ids.push(await submit(agent, textToImage({ seed })))
  const [first, second, third] = ids as [string, string, string]
  await queue(port, 'first', third.slice(0, 12))
  const { jobs } = await queue(port, 'move', '2', 'after', '3')
  t.strictSame(
    jobs.map(({ id }) => id),
    [third, second, first],
  )
  await agent.kill()

  const again = await testBuiltAgent(t, agent.dataDir)
  t.match(again.stderr(), /The queue is paused since/)
  const { port: newPort } = new URL(again.url)
  t.strictSame((await queue(newPort)).jobs, jobs)
  await queue(newPort, 'cancel', '2')
  t.match(await queue(newPort, 'resume'), { paused: false })
  await historyOf(again, first)
  t.strictSame(Object.keys((await ask(again, 'GET', '/history')).body), [third, first])

  const wrong = await runBuilt(['queue', 'move', '9', 'front', '--port', newPort])
  t.match(wrong, { code: 2, stderr: /The queue is empty/ })
  await again.stop()
  const alone = await runBuilt(['queue', '--port', newPort])
  t.match(alone, { code: 1, stderr: /No agent is running at .*comfymesh start/ })
})

t.test('an agent is found by its data folder, whatever its port', async (t) => {
  const agent = await testBuiltAgent(t)
  const { dataDir, url } = agent
  const status = (...argv: string[]) => runBuilt(['status', '--data-dir', dataDir, ...argv])
  t.match(JSON.parse((await status('--json')).stdout), { agent: { url } })
  t.match(await runBuilt(['queue', '--data-dir', dataDir]), { code: 0 })
  t.match(await runBuilt(['status'], { COMFYMESH_DATA_DIR: dataDir }), { code: 0 })

  await agent.kill()
  const killed = { code: 1, stderr: `does not answer at ${url} any more: it was killed` }
  t.match(await status(), killed)
  t.match(await runBuilt(['invite', '--data-dir', dataDir]), killed)

  const again = await testBuiltAgent(t, dataDir)
  t.match(JSON.parse((await status('--json')).stdout), { agent: { url: again.url } })
  await again.stop()
  const stderr = `No agent is running with the data folder ${dataDir}. Start it with`
  t.match(await status(), { code: 1, stderr })
})
