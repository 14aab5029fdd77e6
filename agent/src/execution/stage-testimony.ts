/**
 * What a peer tells of a stage, held against what it was asked: nodes that it was given, each in
 * its order and once, and the values that were wanted.
 */
import { MeshError } from '@comfymesh/protocol/errors'
import type { StageMessage, StageOutcome, StageRequest } from '@comfymesh/protocol/stage'
import { type Output, tensorBytes, type ValueReference } from '@comfymesh/protocol/value'
import { incompatible } from '../mesh/rpc.ts'

export interface StageTestimony {
  /**
   * A stream of messages begins, which repeats what was told on those before it.
   * @returns whether a message tells something that was not taken yet. @throws MeshError `peer_incompatible`
   */
  begin(): (message: StageMessage) => boolean
  /** What a message tells is known from now on. */
  took(message: StageMessage): void
  /** The outcome with its values as they were asked for. @throws MeshError `corrupt_value` */
  outcome(outcome: StageOutcome): StageOutcome
}

export function createStageTestimony(
  peerId: string,
  { stage }: Pick<StageRequest, 'stage'>,
): StageTestimony {
  const nodeIds = new Set(stage.nodes.map(({ id }) => id))
  const known = new Set<string>()
  const lie = (what: string) => incompatible(peerId, `stage ${stage.id}`, what)

  return {
    begin() {
      /** Of this stream; a peer that was started anew tells everything again. */
      const heard = new Set<string>()
      return (message) => {
        const complaint = complaintAbout(message, heard, nodeIds)
        if (complaint !== undefined) throw lie(complaint)
        if (message.type === 'node-progress') return !known.has(`node-finished ${message.nodeId}`)
        heard.add(keyOf(message))
        return !known.has(keyOf(message))
      }
    },
    took: (message) => void known.add(keyOf(message)),
    outcome(outcome) {
      const { outputs } = stage
      const { values } = outcome
      if (values.length !== outputs.length) {
        throw corrupt(peerId, `it made ${values.length} values where ${outputs.length} were wanted`)
      }
      const checked = outputs.map((wanted, index) => checkedValue(wanted, values[index]!, peerId))
      return { ...outcome, values: checked }
    },
  }
}

function keyOf(message: StageMessage): string {
  return 'nodeId' in message ? `${message.type} ${message.nodeId}` : message.type
}

/** What is wrong with a message after those that were heard, if anything. */
function complaintAbout(
  message: StageMessage,
  heard: ReadonlySet<string>,
  nodeIds: ReadonlySet<string>,
): string | undefined {
  if (message.type === 'admitted') {
    return heard.size > 0 ? 'it admits the stage twice' : undefined
  }
  if (!heard.has('admitted')) return `it tells '${message.type}' before it admitted the stage`
  if (message.type !== 'node-progress' && heard.has(keyOf(message))) {
    return `it tells '${keyOf(message)}' twice`
  }
  if (!('nodeId' in message)) return undefined
  const { nodeId } = message
  if (!nodeIds.has(nodeId)) return `it tells of node ${nodeId}, which is not among those it runs`
  if (!heard.has('began')) return `it tells of node ${nodeId} before it began`
  const isCached = message.type === 'node-finished' && message.cached
  const needsStart = message.type !== 'node-started' && !isCached
  if (needsStart && !heard.has(`node-started ${nodeId}`)) {
    return `it tells of node ${nodeId}, which has not started`
  }
  if (heard.has(`node-finished ${nodeId}`)) return `it tells of node ${nodeId} after its end`
  return undefined
}

function checkedValue(wanted: Output, value: ValueReference, peerId: string): ValueReference {
  const name = `the ${wanted.type} of node ${wanted.nodeId}`
  const isWanted =
    value.nodeId === wanted.nodeId &&
    value.slot === wanted.slot &&
    value.type === wanted.type &&
    value.slice?.start === wanted.slice?.start &&
    value.slice?.end === wanted.slice?.end
  if (!isWanted) {
    throw corrupt(peerId, `where ${name} was wanted it made ${value.type} of node ${value.nodeId}`)
  }
  const dataBytes = value.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0)
  const { sizeBytes } = value.blob
  if (!(sizeBytes >= dataBytes && sizeBytes <= dataBytes + MAX_HEADER_BYTES)) {
    throw corrupt(
      peerId,
      `${name} is said to have ${sizeBytes} bytes, its tensors take ${dataBytes}`,
    )
  }
  // Others may have it by the word of those others alone.
  return { ...value, holders: [peerId] }
}

/** As much as readers of the safetensors format accept. */
const MAX_HEADER_BYTES = 100_000_000

function corrupt(peerId: string, why: string): MeshError {
  const message = `What peer ${peerId} made cannot be used: ${why}. Look at that machine's log, or remove it from the mesh.`
  return new MeshError('corrupt_value', message, { details: { peerId } })
}
