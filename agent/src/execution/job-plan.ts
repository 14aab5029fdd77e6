/**
 * From a request to its plan: which results are known already, and where the rest runs. The
 * same for a job that is about to run and for a prompt whose plan is only shown.
 */
import { randomUUID } from 'node:crypto'
import type { JobRequest } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { type Plan, type PlanOptions, planOptionsOf } from '@comfymesh/protocol/plan'
import { isLink, type NodeId } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { knownTimes } from '../planning/advertised-times.ts'
import type { HeldValue } from '../planning/basis.ts'
import { definitionsOf } from '../planning/definitions.ts'
import { executionOrder, type Graph, usedInputs } from '../planning/graph.ts'
import type { MeasuredLink, PeerOffer } from '../planning/peers.ts'
import { planJob } from '../planning/plan.ts'
import { type Progress, replan } from '../planning/replan.ts'
import { signaturesOf } from '../planning/signature.ts'
import type { LearnedTimesStore } from '../store/learned-times.ts'
import type { KnownResults } from './known-results.ts'

export interface JobPlanModules {
  /** This machine's own first. */
  readonly offers: () => Promise<readonly PeerOffer[]>
  readonly executor: Pick<Executor, 'fingerprint'>
  readonly results: Pick<KnownResults, 'recall'>
  /** How fast bytes go, as far as it is measured. */
  readonly links?: () => readonly MeasuredLink[]
  /** What nodes took, here and elsewhere. */
  readonly times: Pick<LearnedTimesStore, 'current'>
}

/** What is made of a job already, and what is known of those who were to make it. */
export interface MadeSoFar {
  /** What output nodes showed. */
  readonly made: ReadonlyMap<NodeId, JsonObject>
  /** Nodes of the stages that finished. */
  readonly done: ReadonlySet<NodeId>
  readonly held: readonly HeldValue[]
  /** Peers that are not to take part, each with the reason. */
  readonly excluded: ReadonlyMap<string, string>
  readonly progress?: Progress
}

const nothing: MadeSoFar = { made: new Map(), done: new Set(), held: [], excluded: new Map() }

export interface JobPlan {
  readonly plan: Plan
  readonly graph: Graph
  /** Every node that the outputs need, in execution order. */
  readonly order: readonly NodeId[]
  readonly signatures: ReadonlyMap<NodeId, string>
  /** What output nodes showed that need not run. */
  readonly known: ReadonlyMap<NodeId, JsonObject>
  /** Nodes that the outputs need and the plan does not run. */
  readonly cachedIds: NodeId[]
}

/**
 * @param request with `options`, where they are others than those of the prompt.
 * @throws MeshError `no_peer`, `invalid_prompt` for options that make no sense.
 */
export async function planRequest(
  request: Pick<JobRequest, 'prompt' | 'outputs' | 'extraData'> & {
    readonly options?: PlanOptions
  },
  { offers, executor, results, links, times }: JobPlanModules,
  { made, done, held, excluded, progress }: MadeSoFar = nothing,
): Promise<JobPlan> {
  const { prompt, outputs, extraData } = request
  const peers = await offers()
  const graph: Graph = { prompt, definitions: definitionsOf(peers) }
  const order = executionOrder(graph, outputs)
  const signatures = signaturesOf(graph, order, await fingerprintsOf(graph, order, executor))
  const known = new Map([...(await results.recall(outputs, signatures)), ...made])
  const input = {
    graph,
    outputs: outputs.filter((id) => !known.has(id) && !done.has(id)),
    signatures,
    peers,
    submitterId: peers[0]?.advertisement.peerId ?? '',
    options: request.options ?? planOptionsOf(extraData),
    held,
    excluded,
    ...(links !== undefined && { links: links() }),
    times: knownTimes(times.current(), peers),
  }
  const plan = progress === undefined ? planJob(input) : replan(input, progress)
  const planned = new Set(plan.stages.flatMap(({ nodes }) => nodes.map(({ id }) => id)))
  const cachedIds = order.filter((id) => !planned.has(id))
  return { plan, graph, order, signatures, known, cachedIds }
}

/** What else than its inputs decides a node's result; unknown means: run it always. */
async function fingerprintsOf(
  graph: Graph,
  order: readonly NodeId[],
  executor: Pick<Executor, 'fingerprint'>,
): Promise<Map<NodeId, string>> {
  const fingerprints = new Map<NodeId, string>()
  for (const id of order) {
    const constants = usedInputs(graph, id).filter(([, value]) => !isLink(value))
    const { class_type } = graph.prompt[id]!
    const fingerprint = await executor
      .fingerprint(class_type, Object.fromEntries<JsonValue>(constants))
      .catch(() => randomUUID())
    if (fingerprint !== undefined) fingerprints.set(id, fingerprint)
  }
  return fingerprints
}
