/**
 * What every executor must do, whatever computes its nodes. A fixture names the classes
 * that stand for the few kinds of node that the suite needs.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { MeshError } from '@comfymesh/protocol/errors'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { Output } from '@comfymesh/protocol/value'
import type { NodeDefinition } from '@comfymesh/protocol/workflow'
import type { Test } from 'tap'
import { createBlobHasher } from '../../src/base/blob-hash.ts'
import type {
  Executor,
  MadeValue,
  Stage,
  StageEvent,
  StageInput,
  StageNode,
  StageResult,
} from '../../src/executors/executor.ts'
import { writeSafetensors } from '../models/model-files.ts'

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
  readonly values: ValueFixture
}

/** Nodes whose values are handed from stage to stage. */
export interface ValueFixture {
  /** The last of them makes a batch of pictures that all differ. */
  readonly makers: readonly SuiteNode[]
  readonly output: Output
  readonly entries: number
  /** Hands out a picture for each entry of the batch that it is linked to. */
  shower(link: [nodeId: string, slot: number]): SuiteNode
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

  await testValues(t, executor, fixture.values)

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

/** The bytes of all pictures of a run, in their order. */
export function picturesOf(events: readonly StageEvent[]): Uint8Array[] {
  return events
    .flatMap((event) => (event.type === 'node-finished' ? (event.pictures ?? []) : []))
    .map(({ bytes }) => bytes)
}

/** What every executor does with the values of other stages. It has been started. */
export async function testValues(
  t: Test,
  executor: Executor,
  { makers, output, entries, shower }: ValueFixture,
): Promise<void> {
  const link: [string, number] = [output.nodeId, output.slot]
  const make = async (outputs: readonly Output[], signature?: (index: number) => string) => {
    const { result } = await runAndRecord(executor, { ...stageOf(makers, signature), outputs })
    if (result instanceof Error) throw result
    return (result as StageResult).values
  }
  const show = (inputs: readonly StageInput[]) =>
    runAndRecord(executor, { ...stageOf([shower(link)]), inputs })
  const parts = (...bounds: number[]): Output[] =>
    bounds.slice(1).map((end, i) => ({ ...output, slice: { start: bounds[i]!, end } }))

  t.test('a stage split in two gives the same pictures as one', async (t) => {
    const whole = picturesOf(
      (await runAndRecord(executor, stageOf([...makers, shower(link)]))).events,
    )
    t.equal(new Set(whole.map(String)).size, entries, 'all differ')
    const made = await make([output])
    t.match(made, [{ ...output, path: String, blob: { hash: /^[0-9a-f]{64}$/ } }])
    const { blob, digests } = made[0]!
    t.same({ blob, digests }, hashOf(made[0]!), 'hashed as it lies in the file')
    t.ok(made[0]!.tensors.every(({ shape }) => shape.every((extent) => extent > 0)))
    t.same(picturesOf((await show(made)).events), whole)
    const split = await make(parts(0, 1, entries))
    t.same(picturesOf((await show(split.toReversed())).events), whole, 'in parts')
    t.same(picturesOf((await show([split[1]!])).events), whole.slice(1), 'a part alone')
  })

  t.test('equal signatures hand out equal values', async (t) => {
    const signature = (index: number) => `handed out ${serial} ${index}`
    const fixed = [0, 1, 2].map(signature)
    const [first, second] = [
      await make([output], (i) => fixed[i] ?? ''),
      await make([output, output], (i) => fixed[i] ?? ''),
    ]
    t.same(first[0]!.blob, second[0]!.blob)
    t.not(second[0]!.path, second[1]!.path, 'each in a file of its own')
    t.same(hashOf(second[1]!).blob, first[0]!.blob)
  })

  t.test('a stage that does not fit what it is asked for fails', async (t) => {
    const failed = async (outputs: readonly Output[]) =>
      (await runAndRecord(executor, { ...stageOf(makers), outputs })).error?.code
    t.equal(await failed([output, { ...output, nodeId: 'no such node' }]), 'node_failed')
    t.equal(await failed([{ ...output, slot: 7 }]), 'node_failed')
    t.equal(await failed(parts(0, entries + 1)), 'node_failed')
    t.equal((await show([])).error?.code, 'node_failed', 'nor does one without its input')
  })

  t.test(
    'an input that is not what it should be fails with the output it stands for',
    async (t) => {
      const damage: [what: string, damage: (path: string, sizeBytes: number) => void][] = [
        ['truncated', (path, sizeBytes) => truncateSync(path, sizeBytes - 1)],
        ['empty', (path) => truncateSync(path, 0)],
        ['garbage', (path, sizeBytes) => writeFileSync(path, Buffer.alloc(sizeBytes, 0xa5))],
        ['too long', (path) => writeFileSync(path, 'more', { flag: 'a' })],
        ['another file', (path) => writeSafetensors(path, { image: { shape: [1], values: [1] } })],
        ['another shape', (path) => writeImage(path, [3, 1, 2])],
        ['an empty batch', (path) => writeImage(path, [0, 1, 2, 3])],
      ]
      const { nodeId, slot } = output
      const corrupt = { code: 'corrupt_value', retryable: true, details: { nodeId, slot } }
      for (const [what, spoil] of damage) {
        const [made] = await make([output])
        spoil(made!.path, made!.blob.sizeBytes)
        t.match((await show([made!])).error, corrupt, what)
      }
      const [first, second] = await make(parts(0, 1, entries))
      t.match((await show([first!, first!])).error, corrupt, 'the same part twice')
      t.match(
        (await show([{ ...second!, slice: { start: 0, end: entries } }])).error,
        corrupt,
        'other entries',
      )
      const [whole] = await make([output])
      t.match((await show([{ ...whole!, type: 'MASK' }])).error, corrupt, 'another type')
      t.equal(picturesOf((await show([whole!])).events).length, entries, 'the next stage runs')
    },
  )
}

function hashOf({ path }: MadeValue) {
  const hasher = createBlobHasher()
  hasher.update(readFileSync(path))
  return hasher.finish()
}

function writeImage(path: string, shape: number[]): void {
  const values = new Array(shape.reduce((product, extent) => product * extent, 1)).fill(0)
  const structure = JSON.stringify({ image: { tensor: 'image' } })
  const metadata = { 'comfymesh.type': 'IMAGE', 'comfymesh.value': structure }
  writeSafetensors(path, { image: { shape, values } }, metadata)
}
