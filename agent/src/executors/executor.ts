/**
 * What every executor offers, and the words it speaks with the floors above.
 * How stages are planned and where they run is no business of this folder.
 */
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import type { Output, TensorShape } from '@comfymesh/protocol/value'
import type { NodeDefinitions, NodeId } from '@comfymesh/protocol/workflow'
import type { HashedBlob } from '../base/blob-hash.ts'

/** A node of a stage, after validation: inputs are coerced, links name nodes of the stage or its inputs. */
export interface StageNode {
  readonly id: NodeId
  readonly classType: string
  readonly inputs: { readonly [name: string]: JsonValue }
  /** Hash of the node's class, inputs and ancestors; equal signatures give equal outputs. */
  readonly signature: string
}

/** A value that another stage made, here as a file. */
export interface StageInput extends Output {
  /** Absolute path of a safetensors file; its bytes are those that its maker wrote. */
  readonly path: string
}

/** Nodes that run together on one machine. */
export interface Stage {
  /** Idempotency key: the same work has the same id on every peer. */
  readonly id: string
  readonly jobId: string
  /** In an order in which every node follows those it depends on. */
  readonly nodes: readonly StageNode[]
  /** What its nodes are linked to besides each other; the parts of a batch that was split, one each. */
  readonly inputs: readonly StageInput[]
  /** What other stages need from it. */
  readonly outputs: readonly Output[]
}

/** A value that a stage handed out; its bytes were hashed while they were written. */
export interface MadeValue extends Output, HashedBlob {
  /** In the folder for values that the executor was made with; whoever asked for the run takes the file over. */
  readonly path: string
  readonly tensors: readonly TensorShape[]
}

/** An encoded picture that a node hands out: a result to save, or a preview. */
export interface Picture {
  readonly bytes: Uint8Array
  readonly mediaType: 'image/png' | 'image/jpeg'
  readonly width: number
  readonly height: number
}

/**
 * A picture that belongs to the submitting peer: in a folder, where it names and writes the file and
 * adds the prompt and workflow to it, or with whoever follows the job, as it is and kept nowhere.
 */
export interface HandedPicture extends Picture {
  readonly folder: 'output' | 'temp' | 'client'
  /** As the user gave it; may hold subfolders and %tokens%. */
  readonly filenamePrefix: string
  /** Position in its batch, for %batch_num%. */
  readonly batchIndex: number
}

/** One that becomes a file. */
export interface SavedPicture extends HandedPicture {
  readonly folder: 'output' | 'temp'
}

export type StageEvent =
  | { readonly type: 'node-started'; readonly nodeId: NodeId }
  | {
      readonly type: 'node-progress'
      readonly nodeId: NodeId
      readonly value: number
      readonly max: number
      readonly preview?: Picture
    }
  | {
      readonly type: 'node-finished'
      readonly nodeId: NodeId
      /** True when the outputs came from the executor's cache. */
      readonly cached: boolean
      readonly elapsedMs: number
      readonly pictures?: readonly HandedPicture[]
      /** What the node shows besides pictures, e.g. `{ text: ['7'] }`. */
      readonly ui?: JsonObject
      /** What it ignored though it went on, in words for the user. */
      readonly warnings?: readonly string[]
    }

export interface StageResult {
  /** What computed: 'cpu', 'cuda', ...; absent when no model ran. */
  readonly provider?: string
  /** Bare time inside the model sessions; the rest of the stage is overhead. */
  readonly sessionMs: number
  /** One for each of the stage's outputs, in their order. */
  readonly values: readonly MadeValue[]
}

export interface StageEstimate {
  /** Device memory the stage needs at its peak, in bytes. */
  readonly memoryBytes: number
}

/** How fast a machine computes, measured without a model. */
export interface Benchmark {
  /** 10^9 operations a second of convolutions, at the precision that models run at. */
  readonly gflops: number
  /** What computed: 'cpu', 'cuda', ... */
  readonly provider: string
}

export interface InputValidation {
  /** The inputs that are judged; their range and their dropdown are not checked besides. */
  readonly inputs: readonly string[]
  /**
   * @param constants the node's inputs that are no links.
   * @returns the complaint, e.g. 'Invalid image file: nope.png'; undefined when all is fine.
   */
  check(constants: JsonObject): Promise<string | undefined>
}

export interface RunOptions {
  /** Aborting stops the stage between two steps, or kills it hard if it does not yield. */
  readonly signal: AbortSignal
  readonly report: (event: StageEvent) => void
}

/** Runs the nodes of stages. Every implementation passes the suite in test/executors/. */
export interface Executor {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
  /** The nodes it can run, with the model and file lists of this moment filled in. */
  definitions(): Promise<NodeDefinitions>
  /**
   * A string that changes whenever the node's result may change though its
   * inputs do not (ComfyUI's IS_CHANGED), e.g. the hash of the file it reads.
   * `inputs` holds constants only; undefined when there is nothing to add.
   */
  fingerprint(classType: string, inputs: JsonObject): Promise<string | undefined>
  /** The model files that are in memory, as absolute paths; absent where that is not known. */
  openModelFiles?(): readonly string[]
  /** ComfyUI's VALIDATE_INPUTS: the inputs of a class that its own code judges, if any. */
  validation(classType: string): InputValidation | undefined
  estimate(stage: Stage): Promise<StageEstimate>
  /** A stage may come soon: whatever takes time before the first one can begin now. Never throws. */
  prepare(): void
  /**
   * Measures once how fast this machine is: when nothing runs, and given up for a stage that comes
   * meanwhile until there is time again. Absent where there is nothing to measure.
   * @throws MeshError `interrupted`, `runner_died`, or what the provider says.
   */
  benchmark?(signal: AbortSignal): Promise<Benchmark>
  /**
   * Runs the stage to its end.
   * @throws MeshError `node_failed` with details `{ nodeId, classType }`, `interrupted`,
   *   `runner_died`, `out_of_memory`, `not_found`, `unsupported_model`, `malformed_file`;
   *   `corrupt_value` with details `{ nodeId, slot }` for an input that is not what it should be,
   *   `storage_failed` for a value that could not be read or written.
   */
  run(stage: Stage, options: RunOptions): Promise<StageResult>
  /** Closes all models, after the stages under way; with `outputs`, forgets what nodes computed. */
  free(what: { readonly outputs: boolean }): Promise<void>
}
