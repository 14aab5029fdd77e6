import t from 'tap'
import { ruleTensors, ruleValues } from '../../../models/model-files.ts'
import {
  checkpointOf,
  loraOf,
  type MadeLora,
  predict,
  predictPlainly,
  product,
  RANK,
  random,
  shapes,
  size,
  tensor,
  UNET,
  underscored,
} from './made-loras.ts'
import { relativeError } from './run-graph.ts'

/** One module each, as the kind's own formula has it; written out index by index. */
const kinds: { readonly [kind: string]: (path: string) => MadeLora } = {
  'Tucker core': (path) => {
    const [out, into, height, width] = shapes[`${path}.weight`] as [number, number, number, number]
    const [p, q] = [3, 5]
    const up = random('up', out, p)
    const core = random('core', p, q * height * width)
    const down = random('down', q, into)
    const change = new Float32Array(out * into * height * width)
    const kernel = height * width
    for (let index = 0; index < change.length; index++) {
      const [at, i, o] = [
        index % kernel,
        Math.floor(index / kernel) % into,
        Math.floor(index / kernel / into),
      ]
      for (let a = 0; a < p; a++) {
        for (let b = 0; b < q; b++) {
          const middle = core.values[(a * q + b) * kernel + at]!
          change[index]! += up.values[o * p + a]! * middle * down.values[b * into + i]!
        }
      }
    }
    return {
      tensors: {
        'lora_up.weight': tensor(up, out, p, 1, 1),
        'lora_mid.weight': tensor(core, p, q, height, width),
        'lora_down.weight': tensor(down, q, into, 1, 1),
        alpha: { shape: [], values: [q] },
      },
      changes: { [`${path}.weight`]: change },
    }
  },
  LoHa: (path) => {
    const [out, ...rest] = shapes[`${path}.weight`] as [number, ...number[]]
    const [a1, b1, a2, b2] = [
      random('a1', out, RANK),
      random('b1', RANK, size(rest)),
      random('a2', out, RANK),
      random('b2', RANK, size(rest)),
    ]
    const [first, second] = [product(a1, b1).values, product(a2, b2).values]
    return {
      tensors: {
        hada_w1_a: tensor(a1, out, RANK),
        hada_w1_b: tensor(b1, RANK, size(rest)),
        hada_w2_a: tensor(a2, out, RANK),
        hada_w2_b: tensor(b2, RANK, size(rest)),
        alpha: { shape: [], values: [200] },
      },
      changes: { [`${path}.weight`]: first.map((value, i) => (value * second[i]! * 200) / RANK) },
    }
  },
  LoKr: (path) => {
    const [out, into, ...kernel] = shapes[`${path}.weight`] as [number, number, ...number[]]
    const cells = size(kernel)
    const [m, n] = [4, 8]
    const [p, q] = [out / m, into / n]
    const first = random('w1', m, n)
    const [a, b] = [random('w2a', p, RANK), random('w2b', RANK, q * cells)]
    const second = product(a, b)
    const change = new Float32Array(out * into * cells)
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < into; i++) {
        for (let k = 0; k < cells; k++) {
          const left = first.values[Math.floor(o / p) * n + Math.floor(i / q)]!
          const right = second.values[((o % p) * q + (i % q)) * cells + k]!
          change[(o * into + i) * cells + k] = (left * right * 2) / RANK
        }
      }
    }
    return {
      tensors: {
        lokr_w1: tensor(first, m, n),
        lokr_w2_a: tensor(a, p, RANK),
        lokr_w2_b: tensor(b, RANK, q, ...kernel),
        alpha: { shape: [], values: [2] },
      },
      changes: { [`${path}.weight`]: change },
    }
  },
  'differences of weight and bias': (path) => {
    const [weight, bias] = [shapes[`${path}.weight`]!, shapes[`${path}.bias`]!]
    const change = random('diff', weight[0]!, size(weight.slice(1)))
    const shift = random('diff_b', bias[0]!, 1)
    return {
      tensors: { diff: tensor(change, ...weight), diff_b: tensor(shift, ...bias) },
      changes: { [`${path}.weight`]: change.values, [`${path}.bias`]: shift.values },
    }
  },
  DoRA: (path) => {
    const [out, ...rest] = shapes[`${path}.weight`] as [number, ...number[]]
    const columns = size(rest)
    const [up, down] = [random('up', out, RANK), random('down', RANK, columns)]
    const magnitude = ruleValues('magnitude', out, 0.2, 1.5)
    const weight = ruleTensors(shapes)[`${path}.weight`]!.values
    const change = product(up, down).values.map((value, index) => {
      const row = Math.floor(index / columns)
      let squares = 0
      for (let k = 0; k < columns; k++) squares += weight[row * columns + k]! ** 2
      const changed = weight[index]! + value
      return (changed * magnitude[row]!) / Math.sqrt(squares) - weight[index]!
    })
    return {
      tensors: {
        'lora_up.weight': tensor(up, out, RANK, ...rest.slice(1).map(() => 1)),
        'lora_down.weight': tensor(down, RANK, ...rest),
        dora_scale: { shape: [out, ...rest.map(() => 1)], values: magnitude },
      },
      changes: { [`${path}.weight`]: change },
    }
  },
}

for (const [kind, make] of Object.entries(kinds)) {
  const convolution = 'input_blocks.1.0.in_layers.2'
  const matrix = 'input_blocks.1.1.transformer_blocks.0.ff.net.0.proj'
  for (const module of kind === 'Tucker core' ? [convolution] : [convolution, matrix]) {
    t.test(`${kind} on ${module}`, async (t) => {
      const folder = t.testdir()
      const made = make(`${UNET}${module}`)
      const tensors = Object.fromEntries(
        Object.entries(made.tensors).map(([part, value]) => [
          `lora_unet_${underscored(module)}.${part}`,
          value,
        ]),
      )
      const checkpoint = await checkpointOf(folder)
      const lora = await loraOf(folder, 'lora', { ...made, tensors }, checkpoint)
      t.same(lora.unmatched, [])
      const found = await predict(checkpoint, { loras: [lora], strengths: [0.6] })
      const wanted = await predict(await checkpointOf(folder, [{ ...made, strength: 0.6 }]))
      t.ok(relativeError(found, wanted) < 1e-4, 'as with merged weights')
      t.ok(relativeError(found, await predictPlainly(checkpoint)) > 1e-3, 'unlike without')
    })
  }
}
