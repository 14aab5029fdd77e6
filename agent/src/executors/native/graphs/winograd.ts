/**
 * 3x3 convolutions with a quarter (or less than half) of the multiplications: each tile of the
 * picture is taken to another basis, where the convolution is a product element by element.
 * "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308;
 * written with operators whose kernels on the CPU use all cores and large matrices.
 */
import type { GraphBuilder, Value } from '../onnx/graph-builder.ts'
import {
  add,
  convolution,
  depthToSpace,
  gemm,
  matmul,
  reshape,
  split,
  transpose,
} from '../onnx/operators.ts'

/** Sides of the tiles of results, larger ones first: those save more and change the weights more. */
const TILES = [4, 2] as const

type Tile = (typeof TILES)[number]

/**
 * Points at which the polynomials behind the basis are taken, and infinity. Few and small ones
 * keep the rounding small: 4e-6 of the largest result for 4x4 tiles, 1e-6 for 2x2.
 */
const POINTS: { readonly [tile in Tile]: readonly number[] } = {
  4: [0, 1, -1, 1 / 2, -2],
  2: [0, 1, -1],
}

/** Tiles of one picture below which changing the weights' basis costs more than it saves. */
const MIN_TILES = 64

/** Input times output channels over their sum; below this, changing the picture's basis does. */
const MIN_CHANNELS = 64

/** The tile for a convolution at stride 1 of [batch, inputs, height, width]; undefined to do without. */
export function winogradTile(
  [, inputs = 0, height = 0, width = 0]: readonly number[],
  [outputs = 0, , ...window]: readonly number[],
): Tile | undefined {
  const isWorthwhile = (inputs * outputs) / (inputs + outputs) >= MIN_CHANNELS
  if (!isWorthwhile || window.some((side) => side !== 3)) return undefined
  return TILES.find((tile) => Math.ceil(height / tile) * Math.ceil(width / tile) >= MIN_TILES)
}

/**
 * A convolution at stride 1 with as much padding as keeps the size.
 * @param x [batch, inputs, height, width]
 * @param weight [outputs, inputs, 3, 3]
 * @param bias [outputs], or none
 */
export function winogradConvolution(
  graph: GraphBuilder,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  tile: Tile,
): Value {
  const [batch, inputs, height, width] = x.shape as [number, number, number, number]
  const [outputs] = weight.shape as [number]
  const [rows, columns] = [Math.ceil(height / tile), Math.ceil(width / tile)]
  const tiles = rows * columns
  const { ofInput, ofWeight, ofOutput } = basesOf(tile)
  const [terms, patch] = [(tile + 2) ** 2, tile + 2]
  const matrix = (values: Matrix) => graph.floats(values.flat(), [values.length, values[0]!.length])

  // Overlapping patches, each a tile and the cells around it, are what a strided kernel sees.
  const patches = convolution(
    graph,
    reshape(graph, x, [batch * inputs, 1, height, width]),
    reshape(graph, matrix(ofInput), [terms, 1, patch, patch]),
    undefined,
    { stride: tile, padding: [1, 1, rows * tile - height + 1, columns * tile - width + 1] },
  )
  const byTerm = transpose(
    graph,
    reshape(graph, patches, [batch * inputs, terms, tiles]),
    [1, 0, 2],
  )
  const kernels = gemm(graph, matrix(ofWeight), reshape(graph, weight, [outputs * inputs, 9]))
  const products = matmul(
    graph,
    reshape(graph, kernels, [terms, 1, outputs, inputs]),
    reshape(graph, byTerm, [terms, batch, inputs, tiles]),
  )
  const flat = reshape(graph, products, [terms, batch * outputs * tiles])
  const cells = matmul(graph, matrix(ofOutput), flat)
  // By one core, and still in less than half the time of two cores that transpose.
  const planes = [1, tile * tile * batch * outputs, rows, columns]
  const whole = depthToSpace(graph, reshape(graph, cells, planes), tile)
  const sides = [batch, outputs, rows * tile, columns * tile]
  const cropped = crop(graph, reshape(graph, whole, sides), height, width)
  return bias ? add(graph, cropped, reshape(graph, bias, [outputs, 1, 1])) : cropped
}

/** The upper left corner of pictures. */
function crop(graph: GraphBuilder, x: Value, height: number, width: number): Value {
  const first = (value: Value, axis: number, size: number): Value => {
    const rest = value.shape[axis]! - size
    return rest === 0 ? value : split(graph, value, [size, rest], axis)[0]!
  }
  return first(first(x, 2, height), 3, width)
}

type Matrix = readonly (readonly number[])[]

interface Bases {
  /** [terms, patch cells] */
  readonly ofInput: Matrix
  /** [terms, kernel cells] */
  readonly ofWeight: Matrix
  /** [tile cells, terms] */
  readonly ofOutput: Matrix
}

/**
 * Toom and Cook's algorithm in two dimensions, transposed as convolutions want it: the kernel is
 * evaluated at the points, and the patch is taken to the coefficients of Lagrange's polynomials.
 * The result is `ofOutput` times (`ofWeight` times kernel) times (`ofInput` times patch).
 */
function basesOf(tile: Tile): Bases {
  const points = POINTS[tile]
  const othersOf = (index: number) => points.filter((_, other) => other !== index)
  const scales = points.map((point, index) =>
    othersOf(index).reduce((product, other) => product * (point - other), 1),
  )
  const powers = (point: number, count: number) =>
    Array.from({ length: count }, (_, i) => point ** i)
  const atInfinity = (count: number) => Array.from({ length: count }, (_, i) => +(i === count - 1))
  const ofInput = [
    ...points.map((_, index) => [...polynomial(othersOf(index)), 0]),
    polynomial(points),
  ]
  const ofWeight = [
    ...points.map((point, index) => powers(point, 3).map((power) => power / scales[index]!)),
    atInfinity(3),
  ]
  const ofOutput = [...points.map((point) => powers(point, tile)), atInfinity(tile)]
  return {
    ofInput: squared(ofInput),
    ofWeight: squared(ofWeight),
    ofOutput: squared(transposed(ofOutput)),
  }
}

/** Coefficients of the polynomial with these roots, the constant one first. */
function polynomial(roots: readonly number[]): number[] {
  let known = [1]
  for (const root of roots) {
    const timesX = [0, ...known]
    known = timesX.map((above, power) => above - root * (known[power] ?? 0))
  }
  return known
}

function transposed(matrix: Matrix): Matrix {
  return matrix[0]!.map((_, column) => matrix.map((row) => row[column]!))
}

/** The Kronecker product of a matrix with itself: the same for both directions of a picture. */
function squared(matrix: Matrix): Matrix {
  return matrix.flatMap((outer) =>
    matrix.map((inner) => outer.flatMap((left) => inner.map((right) => left * right))),
  )
}
