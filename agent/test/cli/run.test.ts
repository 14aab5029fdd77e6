/** `comfymesh run` against an agent with test nodes, as a user sees it. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommandLine } from '../../src/cli/commands.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { ask, startTestAgent } from '../test-agent.ts'

const link = (id: string) => [id, 0]
const saving = {
  '1': { class_type: 'TN_Int', inputs: { value: 7 }, _meta: { title: 'Number' } },
  '2': {
    class_type: 'TN_Steps',
    inputs: { x: link('1'), steps: 3, ms: 0, preview: false },
    _meta: { title: 'Work' },
  },
  '3': {
    class_type: 'TN_Save',
    inputs: { x: link('2'), count: 2, filename_prefix: 'a/pic', folder: 'output' },
  },
}

/** Runs a command line against the agent and tells what it said. */
async function command(t: Test, url: string, prompt: object, ...argv: string[]) {
  const folder = t.testdirName
  const file = join(folder, 'prompt.json')
  writeFileSync(file, JSON.stringify(prompt))
  const out = t.capture(console, 'log', () => {})
  const err = t.capture(console, 'error', () => {})
  const progress = t.capture(process.stderr, 'write', () => true)
  const { port } = new URL(url)
  const where = ['--port', port, '--data-dir', join(folder, 'data'), '--out', join(folder, 'out')]
  const code = await runCommandLine(['run', file, ...where, ...argv])
  const lines = (calls: readonly { args: unknown[] }[]) => calls.map(({ args }) => String(args[0]))
  return {
    code,
    folder,
    out: lines(out()),
    err: lines(err()),
    progress: lines(progress()).join(''),
  }
}

const agentFor = (t: Test) => startTestAgent(t, createFakeExecutor(), join(t.testdir({}), 'agent'))

t.test('pictures, what ran where, exit code 0', async (t) => {
  const agent = await agentFor(t)
  const { code, folder, out, err, progress } = await command(t, agent.url, saving)
  t.equal(code, 0, err.join())
  const pictures = readdirSync(join(folder, 'out')).sort()
  t.strictSame(pictures, ['pic_00001_.png', 'pic_00002_.png'])
  t.strictSame(
    out.slice(0, 2),
    pictures.map((name) => join(folder, 'out', name)),
  )
  t.match(out.join('\n'), /3 nodes ran at test/)
  t.match(progress, /Work {2}3 steps in/)
})

t.test('edits and JSON', async (t) => {
  const agent = await agentFor(t)
  const { code, out, err } = await command(
    t,
    agent.url,
    saving,
    '--json',
    '--set',
    'number.value=8',
    '--set',
    '3.count=1',
  )
  t.equal(code, 0, err.join())
  t.equal(out.length, 1)
  t.match(JSON.parse(out[0]!), {
    status: 'completed',
    pictures: [{ nodeId: '3' }],
    agent: agent.url,
  })
})

t.test('a prompt that is refused: every complaint, exit code 2', async (t) => {
  const agent = await agentFor(t)
  const { code, err } = await command(t, agent.url, saving, '--set', '1.value=101')
  t.equal(code, 2)
  t.match(err, [/not accepted/, /"Number" \(TN_Int, node 1\): .*101.*\(value\)/])
})

t.test('a job that fails: the node and the reason, exit code 1', async (t) => {
  const agent = await agentFor(t)
  const failing = {
    '1': saving['1'],
    '2': { class_type: 'TN_Fail', inputs: { x: link('1') } },
    '3': { class_type: 'TN_Out', inputs: { x: link('2') } },
  }
  const { code, err, progress } = await command(t, agent.url, failing)
  t.equal(code, 1)
  t.match(err.at(-1), /The job failed: TN_Fail \(node 2\): .*boom 7/)
  t.equal(`${err}${progress}`.match(/boom 7/g)?.length, 1, 'the reason is told once')
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  t.test(`${signal} cancels the job, exit code 1`, async (t) => {
    const agent = await agentFor(t)
    const slow = {
      '1': saving['1'],
      '2': {
        class_type: 'TN_Steps',
        inputs: { x: link('1'), steps: 1000, ms: 20, preview: false },
      },
      '3': { class_type: 'TN_Out', inputs: { x: link('2') } },
    }
    // Were nobody listening, it would end this process.
    const guard = () => {}
    process.on(signal, guard)
    const others = process.listenerCount(signal)
    const stop = agent.jobs.subscribe(({ event }) => {
      if (event.type !== 'node-progress' || event.value !== 1) return
      if (process.listenerCount(signal) > others) process.emit(signal)
      else void agent.stop()
    })
    const { code, err } = await command(t, agent.url, slow)
    stop()
    t.equal(code, 1)
    t.match(err.at(-1), /cancelled/)
    t.equal(process.listenerCount(signal), others, 'it listens no more')
    process.off(signal, guard)
  })
}

t.test('a folder that takes no pictures is told of before anything runs', async (t) => {
  const agent = await agentFor(t)
  const file = join(t.testdirName, 'file')
  writeFileSync(file, '')
  for (const out of [file, join(file, 'below')]) {
    const { code, err } = await command(t, agent.url, saving, '--out', out)
    t.equal(code, 2)
    t.ok(err[0]?.startsWith(`No pictures can be saved into ${out}: it is a file, or`), err.join())
    t.match(err[0], /Name another folder with --out\.$/)
  }
  t.strictSame(Object.keys((await ask(agent, 'GET', '/history')).body), [], 'nothing ran')
})

t.test('pictures that cannot be written are said to lie with the agent', async (t) => {
  const agent = await agentFor(t)
  const out = join(t.testdirName, 'gone')
  // Nobody can write into a folder that is not there any more.
  const stop = agent.jobs.subscribe(({ event }) => {
    if (event.type === 'node-started') rmSync(out, { recursive: true, force: true })
  })
  const { code, err } = await command(t, agent.url, saving, '--out', out)
  stop()
  t.equal(code, 1)
  const [, kept] = /could not be written: .*\. The agent has the picture at (.*)\.$/.exec(err[0]!)!
  t.ok(existsSync(kept!), err.join())
})

t.test('an agent that stops while it works: said in words, exit code 1', async (t) => {
  const agent = await agentFor(t)
  const slow = {
    '1': saving['1'],
    '2': { class_type: 'TN_Steps', inputs: { x: link('1'), steps: 1000, ms: 20, preview: false } },
    '3': { class_type: 'TN_Out', inputs: { x: link('2') } },
  }
  agent.jobs.subscribe(({ event }) => {
    if (event.type === 'node-progress' && event.value === 1) void agent.stop()
  })
  const { code, err } = await command(t, agent.url, slow)
  await agent.stop()
  t.equal(code, 1)
  t.match(err.at(-1), /stopped before the job had ended/)
})

t.test('mistakes on the command line: exit code 2 and where to look', async (t) => {
  const agent = await agentFor(t)
  for (const argv of [['--set', 'x'], ['--port', 'x'], ['--frobnicate']]) {
    const { code, err } = await command(t, agent.url, saving, ...argv)
    t.equal(code, 2, argv.join(' '))
    t.ok(err.length > 0)
  }
})

t.test('help and version of the program', async (t) => {
  const out = t.capture(console, 'log', () => {})
  t.equal(await runCommandLine(['--help']), 0)
  t.equal(await runCommandLine(['run', '--help']), 0)
  t.equal(await runCommandLine(['help', 'doctor']), 0)
  t.equal(await runCommandLine(['--version']), 0)
  const [program, run, doctor, version] = out().map(({ args }) => String(args[0]))
  t.match(program, /doctor +Examine/)
  t.match(run, /--set <node.input=value>/)
  t.match(doctor, /Ends with 1/)
  t.match(version, /^\d+\.\d+\.\d+$/)
  const widest = Math.max(...`${program}${run}${doctor}`.split('\n').map(({ length }) => length))
  t.ok(widest <= 104, `no line is longer than a terminal: ${widest}`)
  const err = t.capture(console, 'error', () => {})
  t.equal(await runCommandLine(['strat']), 2)
  t.match(err()[0]?.args[0], /Did you mean start/)
})
