/** Built agents on this machine that are one mesh. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '@comfymesh/protocol/json'
import { meshPeersSchema } from '@comfymesh/protocol/mesh'
import { type Plan, planSchema } from '@comfymesh/protocol/plan'
import type { TestPrompt } from './e2e/prompts.ts'
import { ask } from './test-agent.ts'

interface Reachable {
  readonly url: string
}

const LOOK_MS = 20

/**
 * Makes an agent a member of the other's mesh; all know each other afterwards.
 * @param others how many members there are then besides the new one.
 */
export async function joinMesh(host: Reachable, member: Reachable, others = 1): Promise<void> {
  const invited = await ask(host, 'POST', '/v1/mesh/invites')
  const joined = await ask(member, 'POST', '/v1/mesh/join', { invite: invited.body.line })
  if (joined.status !== 200) throw new Error(`not joined: ${joined.text}`)
  await Promise.all([connectedPeers(host, others), connectedPeers(member, others)])
}

/** Waits until an agent is connected to exactly so many others. */
export async function connectedPeers(agent: Reachable, count: number): Promise<void> {
  for (;;) {
    const { peers } = meshPeersSchema.parse((await ask(agent, 'GET', '/v1/mesh/peers')).body)
    if (peers.filter(({ state }) => state === 'connected').length === count) return
    await sleep(LOOK_MS)
  }
}

/** Binds all nodes of a prompt to one peer. */
export function allOn(prompt: TestPrompt, peerName: string): JsonObject {
  const affinity = Object.fromEntries(Object.keys(prompt).map((id) => [id, peerName]))
  return { comfymesh: { affinity, fallback: 'none' } }
}

/** Waits until an agent knows enough of its peers to place a prompt as it asks. */
export async function planned(
  agent: Reachable,
  prompt: TestPrompt,
  extraData: JsonObject,
): Promise<Plan> {
  for (;;) {
    const { status, body } = await ask(agent, 'POST', '/v1/plan', {
      prompt,
      extra_data: extraData,
    })
    if (status === 200) return planSchema.parse(body.plan)
    await sleep(LOOK_MS)
  }
}
