/** One stage on a running child, from the command to its result, cancellation included. */
import { MeshError } from '@comfymesh/protocol/errors'
import type { RunOptions, Stage, StageNode, StageResult } from '../executor.ts'
import type { RunnerChild } from './runner-child.ts'
import { diedRunning } from './runner-exit.ts'

let lastRun = 0

/** @throws MeshError what the child reports, `interrupted`, or `runner_died`. */
export function runOnChild(
  child: RunnerChild,
  stage: Stage,
  options: RunOptions & { readonly previews: boolean; readonly cancelGraceMs: number },
): Promise<StageResult> {
  const { signal, report, previews, cancelGraceMs } = options
  lastRun += 1
  const run = lastRun
  let running: StageNode | undefined
  let graceTimer: NodeJS.Timeout | undefined
  const cancel = (): void => {
    child.send({ type: 'cancel', run })
    graceTimer = setTimeout(() => child.kill(), cancelGraceMs)
  }
  const settled = new Promise<StageResult>((resolve, reject) => {
    child.listen({
      event: ({ event }) => {
        if (event.type === 'node-started') {
          running = stage.nodes.find((node) => node.id === event.nodeId)
        }
        report(event)
      },
      finished: ({ result }) => resolve(result),
      failed: ({ error }) => reject(MeshError.fromReport(error)),
      exited: (exit) => reject(signal.aborted ? interrupted(stage) : diedRunning(exit, running)),
    })
  })
  child.send({ type: 'run', run, stage, previews })
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return settled.finally(() => {
    clearTimeout(graceTimer)
    signal.removeEventListener('abort', cancel)
    child.listen(undefined)
  })
}

function interrupted(stage: Stage): MeshError {
  return new MeshError('interrupted', `stage ${stage.id} was cancelled`)
}
