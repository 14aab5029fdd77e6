/** How the end of a runner reads as an error, and as the report of the provider that caused it. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageNode } from '../executor.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import type { ProviderName, ProviderReport } from './sessions/settings.ts'

export interface RunnerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it last wrote to standard error. */
  readonly lastLines: readonly string[]
  /** The provider whose self-test was running when it ended. */
  readonly testing?: ProviderName
  /** Why it could not be started at all. */
  readonly startError?: Error
}

/**
 * The error of a stage whose runner ended under it, at `node` if one had started.
 * @param memoryRanOut whether the kernel killed meanwhile for lack of memory; undefined where it does not tell.
 */
export function diedRunning(
  exit: RunnerExit,
  node: StageNode | undefined,
  memoryRanOut: boolean | undefined,
): MeshError {
  const where = node === undefined ? '' : ` while it ran node ${node.id} (${node.classType})`
  return runnerDied(
    `The runner process ended${where}: ${describeExit(exit)}.${advice(exit, memoryRanOut)}`,
    exit,
    {
      ...(node && { nodeId: node.id, classType: node.classType }),
    },
  )
}

/** The error of a runner that ended before it could take a stage. */
export function diedAtStart(exit: RunnerExit): MeshError {
  const advised = 'Run `comfymesh doctor` to see what is missing'
  return runnerDied(`The runner process could not start: ${describeExit(exit)}. ${advised}.`, exit)
}

/** What becomes of a provider whose self-test ended the process. */
export function crashReport(name: ProviderName, exit: RunnerExit): ProviderReport {
  return {
    name,
    ok: false,
    reason: `its self-test crashed (${describeExit(exit)}); update the graphics driver`,
    fusedAttention: false,
    halfPrecision: false,
  }
}

function runnerDied(message: string, exit: RunnerExit, details: object = {}): MeshError {
  const { code, signal, lastLines } = exit
  return new MeshError('runner_died', message, {
    details: { ...details, exitCode: code, signal, lastLines: [...lastLines] },
    cause: exit.startError,
  })
}

function describeExit({ code, signal, lastLines, startError }: RunnerExit): string {
  const how =
    startError?.message ?? (signal ? `killed by ${signal}` : `exit code ${codeText(code)}`)
  const last =
    lastLines.findLast((line) => TELLING.test(line)) ??
    lastLines.findLast((line) => line.trim() !== '')
  return last === undefined ? how : `${how}, last words "${last.trim()}"`
}

/** A line that names a failure, unlike the frames and versions printed after it. */
const TELLING = /^(?!\s+at ).*(error|assert|abort|terminat|fatal|exception)/i

/** Windows reports native crashes as codes like 0xC0000005, which are searched for in hex. */
function codeText(code: number | null): string {
  if (code === null) return 'unknown'
  return code > 0xffff ? `0x${code.toString(16).toUpperCase()}` : String(code)
}

const LESS_MEMORY = 'try a smaller picture, or a smaller memory budget.'

function advice({ signal, lastLines }: RunnerExit, memoryRanOut: boolean | undefined): string {
  if (signal === 'SIGKILL') {
    if (memoryRanOut === false) return ' Another program killed it: run the prompt again.'
    const certainly = memoryRanOut
      ? 'ran out of memory and killed it'
      : 'may have run out of memory'
    return ` The system ${certainly}: ${LESS_MEMORY}`
  }
  if (lastLines.some((line) => isOutOfMemory(new Error(line)))) {
    return ` It ran out of memory: ${LESS_MEMORY}`
  }
  if (signal === 'SIGBUS') {
    return ' A model file changed or became shorter while it was in use: run the prompt again.'
  }
  return ' If it happens again, choose the CPU with COMFYMESH_PROVIDER=cpu.'
}
