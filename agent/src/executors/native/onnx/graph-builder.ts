/**
 * Collects the nodes of an ONNX graph whose shapes are all known while it is built.
 * operators.ts has the operators by name.
 */
import {
  encodeModel,
  type FileSlice,
  type OnnxAttribute,
  type OnnxInitializer,
  type OnnxNode,
  type OnnxPort,
  type OnnxType,
} from './model.ts'

/** What flows along an edge of the graph. */
export interface Value {
  readonly name: string
  readonly type: OnnxType
  readonly shape: readonly number[]
}

export interface NodeOptions {
  readonly attributes?: { readonly [name: string]: OnnxAttribute }
  readonly domain?: string
  /** Of the outputs; those of the first input unless given. */
  readonly type?: OnnxType
}

/** 20 is the first operator set with Gelu. */
const OPERATOR_SETS: { readonly [domain: string]: number } = { '': 20, 'com.microsoft': 1 }

export class GraphBuilder {
  readonly #name: string
  readonly #nodes: OnnxNode[] = []
  /** Nodes that see no input of the graph: casts of weights, for the most part. */
  readonly #weightNodes: OnnxNode[] = []
  /** Names of initializers and of what `#weightNodes` make of them. */
  readonly #weightNames = new Set<string>()
  readonly #initializers = new Map<string, OnnxInitializer>()
  readonly #constants = new Map<string, Value>()
  readonly #inputs: OnnxPort[] = []
  readonly #outputs: OnnxPort[] = []
  #serial = 0

  constructor(name: string) {
    this.#name = name
  }

  get inputs(): readonly OnnxPort[] {
    return this.#inputs
  }

  get outputs(): readonly OnnxPort[] {
    return this.#outputs
  }

  input(name: string, type: OnnxType, shape: readonly number[]): Value {
    const port = { name, type, shape }
    this.#inputs.push(port)
    return port
  }

  output(name: string, value: Value): void {
    this.#outputs.push({ ...value, name })
    this.#nodes.push({
      operator: 'Identity',
      domain: '',
      inputs: [value.name],
      outputs: [name],
      attributes: {},
    })
  }

  /** A node with one output of the given shape. `undefined` skips an optional input. */
  node(
    operator: string,
    inputs: readonly (Value | undefined)[],
    shape: readonly number[],
    options: NodeOptions = {},
  ): Value {
    return this.nodes(operator, inputs, [shape], options)[0]!
  }

  /** A node with one output a shape. */
  nodes(
    operator: string,
    inputs: readonly (Value | undefined)[],
    shapes: readonly (readonly number[])[],
    { attributes = {}, domain = '', type = inputs[0]!.type }: NodeOptions = {},
  ): Value[] {
    const serial = this.#serial++
    const outputs = shapes.map((shape, index) => ({
      name: `${operator}_${serial}_${index}`,
      type,
      shape,
    }))
    const ofWeights = inputs.every((input) => !input || this.#weightNames.has(input.name))
    if (ofWeights) for (const { name } of outputs) this.#weightNames.add(name)
    const nodes = ofWeights ? this.#weightNodes : this.#nodes
    nodes.push({
      operator,
      domain,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: outputs.map(({ name }) => name),
      attributes,
    })
    return outputs
  }

  /** Elements that lie in a file, or are copied into the model. The same name is added once. */
  initializer(
    name: string,
    type: OnnxType,
    shape: readonly number[],
    data: Uint8Array | FileSlice,
  ): Value {
    if (!this.#initializers.has(name)) {
      this.#initializers.set(name, { name, type, shape, data })
      this.#weightNames.add(name)
    }
    return { name, type, shape }
  }

  /** A constant; equal ones are shared. */
  floats(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#constant('float32', shape, new Uint8Array(Float32Array.from(values).buffer))
  }

  /** A shape or a list of indices. */
  integers(values: readonly number[]): Value {
    const elements = BigInt64Array.from(values, BigInt)
    return this.#constant('int64', [values.length], new Uint8Array(elements.buffer))
  }

  #constant(type: OnnxType, shape: readonly number[], bytes: Uint8Array): Value {
    const key = `${type} [${shape}] ${Buffer.from(bytes).toString('latin1')}`
    const known = this.#constants.get(key)
    if (known) return known
    const value = this.initializer(`constant_${this.#constants.size}`, type, shape, bytes)
    this.#constants.set(key, value)
    return value
  }

  /**
   * onnxruntime orders nodes by walking from the outputs back, nodes with higher numbers first.
   * With the weights' own nodes numbered lowest, each runs right before the layer that needs it:
   * else most casts would run before all layers and their results be held at once.
   */
  encode(): Uint8Array {
    const domains = new Set(['', ...this.#nodes.map(({ domain }) => domain)])
    return encodeModel({
      name: this.#name,
      operatorSets: Object.fromEntries([...domains].map((name) => [name, OPERATOR_SETS[name]!])),
      nodes: [...this.#weightNodes, ...this.#nodes],
      initializers: [...this.#initializers.values()],
      inputs: this.#inputs,
      outputs: this.#outputs,
    })
  }
}
