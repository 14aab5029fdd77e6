import t from 'tap'
import { nodeRows } from '../../../../src/executors/native/nodes/index.ts'
import type { Latent, Tensor } from '../../../../src/executors/native/values.ts'
import { goldenCases, goldenTensors } from '../../../goldens.ts'
import { compare, idleContext, withoutChannel } from './node-goldens.ts'

/** A value of goldens/nodes.json: a constant, or the names of its tensors. */
type Described =
  | string
  | number
  | boolean
  | { readonly type: 'IMAGE' | 'MASK'; readonly tensor: string }
  | {
      readonly type: 'LATENT'
      readonly samples: string
      readonly noise_mask?: string
      readonly batch_index?: readonly number[]
    }

interface Case {
  readonly node: string
  readonly inputs: { readonly [name: string]: Described }
  readonly outputs: readonly Described[]
}

const stored = goldenTensors('nodes')

function resolve(described: Described): unknown {
  if (typeof described !== 'object') return described
  if (described.type !== 'LATENT') return stored(described.tensor)
  const { samples, noise_mask, batch_index } = described
  const latent: Latent = {
    samples: stored(samples),
    ...(noise_mask && { noiseMask: withoutChannel(stored(noise_mask)) }),
    ...(batch_index && { batchIndex: batch_index }),
  }
  return latent
}

/** Nodes of pictures, masks and latents only; others have tests of their own. */
const plain = /^(Image|Latent|Empty|Repeat|Mask|SetLatent)/

for (const [index, golden] of goldenCases<Case>('nodes').entries()) {
  if (!plain.test(golden.node)) continue
  t.test(`${index}: ${golden.node} answers as ComfyUI's`, async (t) => {
    const inputs = Object.entries(golden.inputs).map(([name, value]) => [name, resolve(value)])
    const row = nodeRows.get(golden.node)!
    const { outputs } = await row.run(Object.fromEntries(inputs), idleContext)
    for (const [i, described] of golden.outputs.entries()) {
      compare(t, outputs[i], resolve(described) as Tensor | Latent, `output ${i}`)
    }
  })
}
