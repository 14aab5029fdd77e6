/** The built program (`npm run build`), run as a user runs it: in its own process, by its command line. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const built: readonly string[] = [program]

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface FinishedCommand extends Ended {
  readonly stdout: string
  readonly stderr: string
}

export interface BuiltAgent {
  readonly url: string
  readonly pid: number
  /** What it printed when it was ready. */
  readonly greeting: string
  readonly dataDir: string
  readonly outputDir: string
  /** From the start of the process to the greeting. */
  readonly startMs: number
  /** Everything it wrote to standard error so far. */
  stderr(): string
  /** As Ctrl-C does; where there are no signals, as a parent process does. */
  stop(): Promise<Ended>
  /** At once and without a word. */
  kill(): Promise<Ended>
}

/**
 * Runs a command to its end.
 * @param environment variables besides those of this process that are no settings of an agent.
 */
export async function runBuilt(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  within: readonly string[] = [],
): Promise<FinishedCommand> {
  const child = spawnNode([...built, ...argv], environment, within)
  const exited = ended(child)
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  return { ...(await exited), stdout, stderr }
}

/** As `runBuilt`, where nobody reads what the command prints. */
export async function runBuiltUnread(argv: readonly string[]): Promise<Ended & { stderr: string }> {
  const child = spawnNode([...built, ...argv])
  child.stdout!.destroy()
  const exited = ended(child)
  const stderr = await text(child.stderr!)
  return { ...(await exited), stderr }
}

/**
 * Starts an agent on a free port.
 * @param within a command that runs the program elsewhere, such as in a network namespace.
 * @param program what Node.js runs instead of the built program; it greets as that does.
 * @throws Error with what it said when it ends instead.
 */
export async function startBuiltAgent(
  dataDir: string,
  argv: readonly string[] = [],
  within: readonly string[] = [],
  program: readonly string[] = built,
): Promise<BuiltAgent> {
  const startedAt = performance.now()
  const own = ['start', '--port', '0', '--data-dir', dataDir, ...outsideMeshes]
  const child = spawnNode([...program, ...own, ...argv], {}, within)
  const exited = ended(child)
  let stderr = ''
  child.stderr!.on('data', (bytes) => {
    stderr += bytes
  })
  const greeting = await greetingOf(child)
  const startMs = performance.now() - startedAt
  const url = /running at (\S+)/.exec(greeting)?.[1]
  if (url === undefined) {
    throw new Error(`the agent ended with ${(await exited).code} and said: ${stderr}`)
  }
  const end = (how: () => void): Promise<Ended> => {
    if (child.exitCode === null && child.signalCode === null) how()
    return exited
  }
  return {
    url,
    pid: child.pid!,
    greeting,
    dataDir,
    outputDir: join(dataDir, 'output'),
    startMs,
    stderr: () => stderr,
    stop: () =>
      end(() => {
        if (process.platform === 'win32') child.send('shutdown')
        else child.kill('SIGINT')
      }),
    kill: () => end(() => child.kill('SIGKILL')),
  }
}

/** Agents of tests that run side by side have nothing to do with each other; the last flag counts. */
const outsideMeshes: readonly string[] = ['--mesh', 'off']

/** Tests run side by side, and threads that wait for each other are slow on a busy machine. */
export const oneThread: readonly string[] = ['--threads', '1']

/** An agent that is gone with its test, whatever became of that. */
export async function testBuiltAgent(
  t: Test,
  dataDir: string = join(t.testdir({}), 'data'),
  argv: readonly string[] = [],
): Promise<BuiltAgent> {
  const agent = await startBuiltAgent(dataDir, [...oneThread, ...argv])
  t.teardown(() => agent.stop())
  return agent
}

function spawnNode(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  within: readonly string[] = [],
): ChildProcess {
  if (!existsSync(program)) {
    throw new Error(`There is no ${program}: build the program first, with \`npm run build\`.`)
  }
  const [command, ...args] = [...within, process.execPath, ...argv]
  return spawn(command!, args, {
    env: { ...withoutSettings(process.env), ...environment },
    // By the channel the child notices when this process goes away, and ends too.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    windowsHide: true,
  })
}

/** Settings of whoever runs this, and what loads its sources, are not the program's business. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) => !/^(COMFYMESH_|NODE_OPTIONS$|TAP)/i.test(name),
  )
  return Object.fromEntries(kept)
}

async function ended(child: ChildProcess): Promise<Ended> {
  const [code, signal] = (await once(child, 'close')) as [Ended['code'], Ended['signal']]
  return { code, signal }
}

/** What it prints up to the line that says how it is stopped; less when it ends before. */
function greetingOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let said = ''
    child.stdout!.setEncoding('utf8')
    child.stdout!.on('data', (part: string) => {
      said += part
      if (/^Ctrl-C/m.test(said)) resolve(said)
    })
    child.stdout!.once('end', () => resolve(said))
  })
}
