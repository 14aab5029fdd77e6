/**
 * LoRAs in a graph. Plain low-rank ones run beside their layer, y = W x + s * up(down(x)),
 * which costs least; the other kinds make a new weight on every run.
 * Formulas: LoRA https://arxiv.org/abs/2106.09685, LyCORIS https://arxiv.org/abs/2309.14859,
 * DoRA https://arxiv.org/abs/2402.09353 (its norms as ComfyUI takes them).
 */
import type { GraphBuilder, Value } from '../onnx/graph-builder.ts'
import {
  add,
  type ConvolutionOptions,
  cast,
  convolution,
  divide,
  gemm,
  matmul,
  multiply,
  reshape,
  squareRoot,
  subtract,
  sum,
  transpose,
} from '../onnx/operators.ts'
import type { LowRankFactor, Patch } from './lora.ts'

/** A patch of one LoRA in this graph. */
export interface AppliedPatch {
  readonly patch: Patch
  /** [1] */
  readonly strength: Value
  /** Strength times alpha / rank, [1]. */
  readonly factor: Value
  /** A tensor of the LoRA's file, in its own shape unless another is given. */
  tensor(name: string, shape?: readonly number[]): Value
  shapeOf(name: string): readonly number[]
}

/** A patch that costs less beside its layer than inside the weight. */
export interface LowRankBranch extends AppliedPatch {
  readonly patch: Extract<Patch, { kind: 'low-rank' }>
}

export function isBranch(applied: AppliedPatch): applied is LowRankBranch {
  return applied.patch.kind === 'low-rank' && applied.patch.magnitude === undefined
}

/** y plus the branch's share of a linear layer on x [tokens, channels]. */
export function addLinearBranch(
  graph: GraphBuilder,
  y: Value,
  x: Value,
  { patch, tensor, shapeOf, factor }: LowRankBranch,
): Value {
  const [rank] = shapeOf(patch.down) as [number]
  const down = gemm(graph, x, tensor(patch.down, [rank, x.shape[1]!]))
  const [outer] = patch.mid ? (shapeOf(patch.mid) as [number]) : [rank]
  const inner = patch.mid ? gemm(graph, down, tensor(patch.mid, [outer, rank])) : down
  const scaled = multiply(graph, inner, factor)
  return gemm(graph, scaled, tensor(patch.up, [y.shape[1]!, outer]), y)
}

/** y plus the branch's share of a convolution of x with kernels [out, in, height, width]. */
export function addConvolutionBranch(
  graph: GraphBuilder,
  y: Value,
  x: Value,
  kernel: readonly number[],
  options: ConvolutionOptions,
  { patch, tensor, shapeOf, factor }: LowRankBranch,
): Value {
  const [rank] = shapeOf(patch.down) as [number]
  const [channels, inputs, ...window] = kernel as [number, number, ...number[]]
  const outer = patch.mid ? shapeOf(patch.mid)[0]! : rank
  const inner = patch.mid
    ? convolution(
        graph,
        convolution(graph, x, tensor(patch.down, [rank, inputs, 1, 1]), undefined),
        tensor(patch.mid, [outer, rank, ...window]),
        undefined,
        options,
      )
    : convolution(graph, x, tensor(patch.down, [rank, inputs, ...window]), undefined, options)
  const scaled = multiply(graph, inner, factor)
  return add(
    graph,
    y,
    convolution(graph, scaled, tensor(patch.up, [channels, outer, 1, 1]), undefined),
  )
}

/** The weight with all patches in it, one after the other, in the weight's own shape. */
export function patchedWeight(
  graph: GraphBuilder,
  weight: Value,
  patches: readonly AppliedPatch[],
): Value {
  const rows = weight.shape[0]!
  const columns = weight.shape.slice(1).reduce((product, size) => product * size, 1)
  let matrix = reshape(graph, weight, [rows, columns])
  for (const applied of patches) {
    const change = reshape(graph, changeOf(graph, applied), [rows, columns])
    const scaled = applied.patch.magnitude
      ? decomposition(graph, matrix, change, weight.shape, applied)
      : multiply(graph, change, applied.factor)
    matrix = add(graph, matrix, scaled)
  }
  return reshape(graph, matrix, weight.shape)
}

/** What a patch of scale and strength 1 adds, with as many elements as the weight. */
function changeOf(graph: GraphBuilder, { patch, tensor }: AppliedPatch): Value {
  const flat = (name: string) => {
    const value = tensor(name)
    const [rows = 1, ...rest] = value.shape
    return reshape(graph, value, [rows, rest.reduce((product, size) => product * size, 1)])
  }
  const product = ({ a, b, core }: LowRankFactor) =>
    core
      ? tucker(graph, transpose(graph, flat(a), [1, 0]), tensor(core), flat(b))
      : matmul(graph, flat(a), flat(b))
  switch (patch.kind) {
    case 'difference':
      return tensor(patch.tensor)
    case 'low-rank':
      return patch.mid
        ? tucker(graph, flat(patch.up), tensor(patch.mid), flat(patch.down))
        : matmul(graph, flat(patch.up), flat(patch.down))
    case 'hadamard':
      return multiply(graph, product(patch.factors[0]), product(patch.factors[1]))
    case 'kronecker': {
      const [first, second] = patch.factors.map((factor) =>
        typeof factor === 'string' ? tensor(factor) : product(factor),
      ) as [Value, Value]
      return kronecker(graph, first, second)
    }
  }
}

/** up [m, p], core [p, q, height, width], down [q, n]: [m, n, height, width]. */
function tucker(graph: GraphBuilder, up: Value, core: Value, down: Value): Value {
  const [p, q, height, width] = core.shape as [number, number, number, number]
  const [m, n] = [up.shape[0]!, down.shape[1]!]
  const last = reshape(graph, transpose(graph, core, [0, 2, 3, 1]), [p * height * width, q])
  const inner = reshape(graph, matmul(graph, last, down), [p, height, width, n])
  const kernels = reshape(graph, transpose(graph, inner, [0, 3, 1, 2]), [p, n * height * width])
  return reshape(graph, matmul(graph, up, kernels), [m, n, height, width])
}

/** a [m, n], b [p, q, ...]: [m * p, n * q, ...]. */
function kronecker(graph: GraphBuilder, a: Value, b: Value): Value {
  const [m, n] = a.shape as [number, number]
  const [p, q, ...kernel] = b.shape as [number, number, ...number[]]
  const spread = multiply(
    graph,
    reshape(graph, a, [m, 1, n, 1, 1]),
    reshape(graph, b, [1, p, 1, q, kernel.reduce((product, size) => product * size, 1)]),
  )
  return reshape(graph, spread, [m * p, n * q, ...kernel])
}

/**
 * DoRA: the changed weight with the norms of its rows (or columns) set to the magnitudes;
 * returned is what that adds, at the strength.
 */
function decomposition(
  graph: GraphBuilder,
  matrix: Value,
  change: Value,
  shape: readonly number[],
  { patch, tensor, strength }: AppliedPatch,
): Value {
  const scale = cast(graph, graph.floats([patch.scale]), matrix.type)
  const changed = reshape(graph, add(graph, matrix, multiply(graph, change, scale)), shape)
  const magnitude = tensor(patch.magnitude!)
  const byRow = magnitude.shape[0] === shape[0]
  const kept = byRow ? 0 : 1
  const source = byRow ? reshape(graph, matrix, shape) : changed
  const otherAxes = shape.map((_, axis) => axis).filter((axis) => axis !== kept)
  const norm = squareRoot(graph, sum(graph, multiply(graph, source, source), otherAxes))
  const sides = shape.map((size, axis) => (axis === kept ? size : 1))
  const ratio = divide(graph, reshape(graph, magnitude, sides), norm)
  const whole = reshape(graph, multiply(graph, changed, ratio), matrix.shape)
  return multiply(graph, subtract(graph, whole, matrix), strength)
}
