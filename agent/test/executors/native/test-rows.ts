/** Nodes that behave in ways no sensible node does, to see what the runner makes of them. */
import { defineNode, type NodeRow } from '../../../src/executors/native/node.ts'
import { nodeRows } from '../../../src/executors/native/nodes/index.ts'

const category = 'test'

/**
 * The clock of the runner that has these rows: however busy the machine is, a step takes as long
 * as it is asked to.
 */
export const clock = { ms: 0 }

const oddNodes = [
  defineNode({
    name: 'TestSlow',
    displayName: 'Takes its time and yields',
    category,
    inputs: () => ({ required: { steps: ['INT', {}], step_ms: ['INT', {}] } }) as const,
    outputs: [],
    run: async ({ steps, step_ms }, { progress }) => {
      for (let step = 1; step <= steps; step++) {
        await new Promise((resolve) => setTimeout(resolve, step_ms))
        clock.ms += step_ms
        await progress(step, steps)
      }
      return []
    },
  }),
  defineNode({
    name: 'TestBlock',
    displayName: 'Blocks the event loop for good, as a huge session run does',
    category,
    inputs: () => ({}),
    outputs: [],
    run: () => {
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
    },
  }),
  defineNode({
    name: 'TestWarn',
    displayName: 'Ignores something',
    category,
    inputs: () => ({}),
    outputs: [],
    run: (_inputs, { warn }) => {
      warn('half of it is ignored')
      return []
    },
  }),
  defineNode({
    name: 'TestFail',
    displayName: 'Fails',
    category,
    inputs: () => ({}),
    outputs: [],
    run: () => {
      throw new RangeError('this node fails on purpose')
    },
  }),
  defineNode({
    name: 'TestDie',
    displayName: 'Ends its process',
    category,
    inputs: () => ({}),
    outputs: [],
    run: () => {
      console.error('the last words')
      process.kill(process.pid, 'SIGKILL')
      return new Promise<never>(() => {})
    },
  }),
  defineNode({
    name: 'TestPreview',
    displayName: 'Hands out a preview each step',
    category,
    inputs: () => ({ required: { steps: ['INT', {}], step_ms: ['INT', {}] } }) as const,
    outputs: [],
    run: async ({ steps, step_ms }, { progress }) => {
      for (let step = 1; step <= steps; step++) {
        clock.ms += step_ms
        await progress(step, steps, async () => ({
          bytes: Uint8Array.of(step),
          mediaType: 'image/jpeg',
          width: 1,
          height: 1,
        }))
      }
      return {
        outputs: [],
        pictures: [
          {
            bytes: Uint8Array.of(1, 2, 3),
            mediaType: 'image/png',
            width: 1,
            height: 1,
            folder: 'output',
            filenamePrefix: 'test',
            batchIndex: 0,
          },
        ],
        ui: { text: ['shown'] },
      }
    },
  }),
]

/** The real table and the odd ones. */
export const testRows: ReadonlyMap<string, NodeRow> = new Map([
  ...nodeRows,
  ...oddNodes.map((row) => [row.name, row] as const),
])
