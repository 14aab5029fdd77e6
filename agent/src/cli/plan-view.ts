/** A plan as a user reads it: a line a stage, what travels, and why not elsewhere. */
import type { Placement, Plan, PlanEdge, PlannedStage } from '@comfymesh/protocol/plan'
import { nodeName } from '@comfymesh/protocol/prompt-nodes'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { byteSize, duration } from '../base/duration.ts'
import type { Terminal } from './terminal.ts'

export interface ShownPlan {
  readonly plan: Plan
  readonly cachedNodeIds: readonly string[]
  readonly warnings: readonly { readonly message: string; readonly nodeId?: string | undefined }[]
}

export function planLines(
  { plan, cachedNodeIds, warnings }: ShownPlan,
  prompt: Prompt,
  terminal: Terminal,
): string[] {
  const { stages, placements, totals } = plan
  const known = cachedNodeIds.length
  return [
    ...warnings.map(({ message, nodeId }) =>
      nodeId === undefined ? message : `${nodeName(prompt, nodeId)}: ${message}`,
    ),
    ...(plan.question === undefined ? [] : [terminal.paint('yellow', plan.question), '']),
    terminal.paint('bold', summaryLine(plan)),
    reasonLine(plan),
    ...(known > 0 ? [`Results known already: ${known}`] : []),
    ...stages.flatMap((stage, index) => [
      '',
      ...stageLines({ plan, stage, placement: placements[index]!, number: index + 1 }, terminal),
    ]),
    ...(totals.transferBytes > 0
      ? ['', `${byteSize(totals.transferBytes)} travel between machines.`]
      : []),
  ]
}

function summaryLine({ stages, placements, totals }: Plan): string {
  if (stages.length === 0) return 'Nothing has to run.'
  const machines = new Set(placements.map(({ peerId }) => peerId)).size
  const where = machines === 1 ? placements[0]!.peerName : `${machines} machines`
  const count = stages.length === 1 ? 'One stage' : `${stages.length} stages`
  return `${count} on ${where}, done in about ${duration(totals.finishMs)}`
}

interface StageView {
  readonly plan: Plan
  readonly stage: PlannedStage
  readonly placement: Placement
  readonly number: number
}

function stageLines({ plan, stage, placement, number }: StageView, { paint }: Terminal): string[] {
  const { estimate, peerName, reason, rejected } = placement
  const title = `${number}  ${peerName}`
  const inputs = plan.edges.filter(({ to }) => to === stage.id)
  return [
    `${paint('cyan', title)}  ${nodeNames(stage)}`,
    `   ${timesOf(estimate)}`,
    ...inputs.map((edge) => `   ${paint('dim', 'takes')} ${inputText(edge, plan)}`),
    `   ${paint('dim', 'why')}   ${reason}`,
    ...grouped(rejected).map(([why, names]) => `   ${paint('dim', 'not')}   ${names}: ${why}`),
  ]
}

/** `KSampler, VAEDecode, 2 CLIPTextEncode`, in the order in which they run. */
function nodeNames({ nodes }: PlannedStage): string {
  const counts = new Map<string, number>()
  for (const { classType } of nodes) counts.set(classType, (counts.get(classType) ?? 0) + 1)
  return [...counts].map(([name, count]) => (count > 1 ? `${count} ${name}` : name)).join(', ')
}

function timesOf(estimate: Placement['estimate']): string {
  const parts = [
    ['waits', estimate.waitMs],
    ['loads models', estimate.loadMs],
    ['transfers', estimate.transferMs],
    ['computes', estimate.computeMs],
  ] as const
  const told = parts.flatMap(([what, ms]) => (ms < 1 ? [] : [`${what} ${duration(ms)}`]))
  const memory = estimate.memoryBytes > 0 ? [`needs ${byteSize(estimate.memoryBytes)}`] : []
  const span = `${duration(estimate.startMs)} to ${duration(estimate.finishMs)}`
  return [span, ...told, ...memory].join(' · ')
}

function inputText({ from, nodeId, type, bytes, travels }: PlanEdge, { stages }: Plan): string {
  const number = stages.findIndex(({ id }) => id === from) + 1
  const source = number === 0 ? 'made already' : `of stage ${number}`
  return `${type} of node ${nodeId}, ${source}: ${travels ? byteSize(bytes) : 'stays where it is'}`
}

const MAX_NAMES = 6

/** Peers with one reason together. */
function grouped(rejected: Placement['rejected']): [why: string, names: string][] {
  const names = new Map<string, string[]>()
  for (const { reason, peerName } of rejected)
    names.set(reason, [...(names.get(reason) ?? []), peerName])
  return [...names].map(([reason, all]) => {
    const more = all.length > MAX_NAMES ? ` and ${all.length - MAX_NAMES} more` : ''
    return [reason, `${all.slice(0, MAX_NAMES).join(', ')}${more}`]
  })
}

/** As a sentence; only the name of a peer keeps its first letter. */
function reasonLine({ reason, placements }: Plan): string {
  const isName = placements.some(({ peerName }) => reason.startsWith(peerName))
  return `${isName ? reason[0] : reason[0]!.toUpperCase()}${reason.slice(1)}.`
}
