/**
 * What every executor must do, whatever computes its nodes. A fixture names the classes
 * that stand for the few kinds of node that the suite needs.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinition } from '@comfymesh/protocol/workflow'
import type { Test } from 'tap'
import type { Executor, Stage, StageEvent, StageNode } from '../../src/executors/executor.ts'

/** A node by its class and inputs; ids and signatures are made up by `stageOf`. */
export interface SuiteNode {
  readonly classType: string
  readonly inputs: JsonObject
}

export interface ExecutorFixture {
  /** One runs the whole suite, its last test stops it. */
  executor(): Promise<Executor>
  /** Returns its input at once, e.g. PrimitiveInt. */
  readonly value: SuiteNode
  /** Takes the output of node '1' and returns it. */
  readonly follower: SuiteNode
  /** Reports progress over some seconds and yields between its steps. */
  readonly slow: SuiteNode
  /** Fails. */
  readonly failing: SuiteNode
}

let serial = 0

/** A stage with node ids '1', '2', ...; signatures are new unless given. */
export function stageOf(
  nodes: readonly SuiteNode[],
  signature: (index: number) => string = (index) => `suite ${serial}.${index}`,
): Stage {
  serial += 1
  const stageNodes = nodes.map(
    ({ classType, inputs }, index): StageNode => ({
      id: String(index + 1),
      classType,
      inputs,
      signature: signature(index),
    }),
  )
  return {
    id: `stage ${serial}`,
    jobId: `job ${serial}`,
    nodes: stageNodes,
    inputs: [],
    outputs: [],
  }
}

/** Runs a stage and keeps its events. */
export async function runAndRecord(
  executor: Executor,
  stage: Stage,
  signal: AbortSignal = new AbortController().signal,
  onEvent: (event: StageEvent) => void = () => {},
) {
  const events: StageEvent[] = []
  const report = (event: StageEvent): void => {
    events.push(event)
    onEvent(event)
  }
  const result = await executor.run(stage, { signal, report }).catch((error: unknown) => error)
  return { events, result, error: result instanceof MeshError ? result : undefined }
}

function isWellFormed(name: string, definition: NodeDefinition): boolean {
  const { input, input_order, output, output_name, output_is_list } = definition
  const ordered = (['required', 'optional'] as const).every(
    (group) => (input_order[group] ?? []).join() === Object.keys(input[group] ?? {}).join(),
  )
  return (
    ordered &&
    definition.name === name &&
    output.length === output_name.length &&
    output.length === output_is_list.length &&
    typeof definition.category === 'string' &&
    typeof definition.output_node === 'boolean'
  )
}

export async function testExecutor(t: Test, fixture: ExecutorFixture): Promise<void> {
  const executor = await fixture.executor()
  await executor.start()
  t.teardown(() => executor.stop())

  t.test('definitions have the full shape of GET /object_info', async (t) => {
    const definitions = Object.entries(await executor.definitions())
    t.ok(definitions.length > 0)
    const misshapen = definitions.filter(([name, definition]) => !isWellFormed(name, definition))
    t.same(misshapen, [])
    t.ok(definitions.some(([name]) => name === fixture.value.classType))
  })

  t.test('a stage of plain values runs in order', async (t) => {
    const stage = stageOf([fixture.value, fixture.follower])
    const { events, result } = await runAndRecord(executor, stage)
    t.match(result, { sessionMs: 0 })
    t.notOk((result as { provider?: string }).provider, 'no model ran')
    t.same(
      events.map((event) => [event.type, event.nodeId]),
      [
        ['node-started', '1'],
        ['node-finished', '1'],
        ['node-started', '2'],
        ['node-finished', '2'],
      ],
    )
    t.ok(events.every((event) => event.type !== 'node-finished' || event.elapsedMs >= 0))
  })

  t.test('estimates and fingerprints answer for any stage', async (t) => {
    const estimate = await executor.estimate(stageOf([fixture.value]))
    t.ok(estimate.memoryBytes >= 0)
    t.equal(await executor.fingerprint('NoSuchClass', {}), undefined)
    t.equal(executor.validation('NoSuchClass'), undefined)
  })

  t.test('an unknown class fails its node', async (t) => {
    const stage = stageOf([fixture.value, { classType: 'NoSuchClass', inputs: {} }])
    const { error } = await runAndRecord(executor, stage)
    t.match(error, { code: 'node_failed', details: { nodeId: '2', classType: 'NoSuchClass' } })
    t.match(error?.message, /NoSuchClass/)
  })

  t.test('a failing node names itself and ends its stage', async (t) => {
    const { events, error } = await runAndRecord(
      executor,
      stageOf([fixture.value, fixture.failing, fixture.value]),
    )
    const { classType } = fixture.failing
    t.match(error, { code: 'node_failed', details: { nodeId: '2', classType } })
    t.doesNotThrow(() => structuredClone(error?.toReport()), 'its report crosses the wire')
    t.notOk(events.some((event) => event.nodeId === '3'))
  })

  t.test('stages run one after another, and after a failed one', async (t) => {
    await runAndRecord(executor, stageOf([fixture.failing]))
    const runs = [1, 2, 3].map(() => runAndRecord(executor, stageOf([fixture.value])))
    for (const { result, events } of await Promise.all(runs)) {
      t.match(result, { sessionMs: 0 })
      t.equal(events.length, 2)
    }
  })

  t.test('a stage that was cancelled before does not start', async (t) => {
    const { events, error } = await runAndRecord(
      executor,
      stageOf([fixture.value]),
      AbortSignal.abort(),
    )
    t.equal(error?.code, 'interrupted')
    t.same(events, [])
  })

  t.test('a running stage yields to cancellation between steps', async (t) => {
    const controller = new AbortController()
    const { error, events } = await runAndRecord(
      executor,
      stageOf([fixture.slow, fixture.value]),
      controller.signal,
      (event) => event.type === 'node-progress' && controller.abort(),
    )
    t.equal(error?.code, 'interrupted')
    t.notOk(events.some((event) => event.type === 'node-finished'))
    const next = await runAndRecord(executor, stageOf([fixture.value]))
    t.match(next.result, { sessionMs: 0 }, 'the next stage runs')
  })

  t.test('a waiting stage leaves the line when it is cancelled', async (t) => {
    const [first, second] = [new AbortController(), new AbortController()]
    const running = runAndRecord(executor, stageOf([fixture.slow]), first.signal, () =>
      second.abort(),
    )
    const waiting = await runAndRecord(executor, stageOf([fixture.value]), second.signal)
    t.equal(waiting.error?.code, 'interrupted')
    t.same(waiting.events, [])
    first.abort()
    t.equal((await running).error?.code, 'interrupted')
  })

  t.test('progress goes up and ends at its maximum', async (t) => {
    const { events } = await runAndRecord(executor, stageOf([fixture.slow]))
    const steps = events.filter((event) => event.type === 'node-progress')
    t.ok(steps.length > 1)
    for (const [index, step] of steps.entries()) {
      t.ok(step.value > (steps[index - 1]?.value ?? 0) || index === 0, `step ${step.value}`)
    }
    t.equal(steps.at(-1)?.value, steps.at(-1)?.max)
  })

  t.test('stopping ends what runs and what waits', async (t) => {
    let stopped: Promise<void> | undefined
    const running = runAndRecord(executor, stageOf([fixture.slow]), undefined, () => {
      stopped ??= executor.stop()
    })
    const waiting = runAndRecord(executor, stageOf([fixture.value]))
    t.equal((await running).error?.code, 'interrupted')
    t.equal((await waiting).error?.code, 'interrupted')
    await stopped
  })
}
