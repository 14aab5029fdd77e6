/**
 * ONNX models as plain data, and their serialization. What a network computes is decided in
 * graphs/. Field numbers: https://github.com/onnx/onnx/blob/v1.16.0/onnx/onnx.proto
 */
import { ProtobufMessage } from './protobuf.ts'

/** TensorProto.DataType. */
export const onnxTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e5m2: 19,
} as const satisfies Record<string, number>

export type OnnxType = keyof typeof onnxTypes

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }

export interface OnnxNode {
  readonly operator: string
  /** '' is ONNX itself, 'com.microsoft' onnxruntime's own operators. */
  readonly domain: string
  /** '' stands for an optional input that is not given. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: { readonly [name: string]: OnnxAttribute }
}

/** Part of a file, by a path relative to the folder that the session is told. */
export interface FileSlice {
  readonly location: string
  readonly offset: number
  readonly byteLength: number
}

export interface OnnxInitializer {
  readonly name: string
  readonly type: OnnxType
  readonly shape: readonly number[]
  /** Little-endian elements, or where they lie. */
  readonly data: Uint8Array | FileSlice
}

export interface OnnxPort {
  readonly name: string
  readonly type: OnnxType
  readonly shape: readonly number[]
}

export interface OnnxModel {
  readonly name: string
  /** Version of each operator set in use, by domain. */
  readonly operatorSets: { readonly [domain: string]: number }
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxInitializer[]
  readonly inputs: readonly OnnxPort[]
  readonly outputs: readonly OnnxPort[]
}

/** The first IR version that knows operator set 20. */
const IR_VERSION = 9

/** A ModelProto. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const proto = new ProtobufMessage().integer(1, IR_VERSION).text(2, 'comfymesh')
  proto.message(7, (graph) => {
    for (const node of model.nodes) graph.message(1, (inner) => writeNode(inner, node))
    graph.text(2, model.name)
    for (const initializer of model.initializers) {
      graph.message(5, (inner) => writeInitializer(inner, initializer))
    }
    for (const port of model.inputs) graph.message(11, (inner) => writePort(inner, port))
    for (const port of model.outputs) graph.message(12, (inner) => writePort(inner, port))
  })
  for (const [domain, version] of Object.entries(model.operatorSets)) {
    proto.message(8, (set) => set.text(1, domain).integer(2, version))
  }
  return proto.encode()
}

function writeNode(proto: ProtobufMessage, node: OnnxNode): void {
  for (const input of node.inputs) proto.text(1, input)
  for (const output of node.outputs) proto.text(2, output)
  proto.text(3, node.outputs[0]!).text(4, node.operator)
  for (const [name, attribute] of Object.entries(node.attributes)) {
    proto.message(5, (inner) => writeAttribute(inner, name, attribute))
  }
  if (node.domain !== '') proto.text(7, node.domain)
}

function writeAttribute(proto: ProtobufMessage, name: string, attribute: OnnxAttribute): void {
  proto.text(1, name)
  if ('float' in attribute) proto.float(2, attribute.float).integer(20, 1)
  else if ('int' in attribute) proto.integer(3, attribute.int).integer(20, 2)
  else if ('text' in attribute) proto.text(4, attribute.text).integer(20, 3)
  else {
    for (const value of attribute.ints) proto.integer(8, value)
    proto.integer(20, 7)
  }
}

function writeInitializer(
  proto: ProtobufMessage,
  { name, type, shape, data }: OnnxInitializer,
): void {
  for (const size of shape) proto.integer(1, size)
  proto.integer(2, onnxTypes[type]).text(8, name)
  if (data instanceof Uint8Array) {
    proto.bytes(9, data)
    return
  }
  const { location, offset, byteLength: length } = data
  for (const [key, value] of Object.entries({ location, offset, length })) {
    proto.message(13, (entry) => entry.text(1, key).text(2, String(value)))
  }
  proto.integer(14, 1)
}

function writePort(proto: ProtobufMessage, { name, type, shape }: OnnxPort): void {
  proto.text(1, name).message(2, (typed) => {
    typed.message(1, (tensor) => {
      tensor.integer(1, onnxTypes[type]).message(2, (sides) => {
        for (const size of shape) sides.message(1, (side) => side.integer(1, size))
      })
    })
  })
}
