/**
 * Two machines on networks of their own, and between them nothing but programs that stand for the
 * other one on each side and carry what is said to it, late and only while they run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createNetwork, type Machine } from './namespaces.ts'

export interface LaggyLink {
  readonly machines: readonly [Machine, Machine]
  /** Flags with which an agent on that machine finds the one on the other. */
  flags(other: Machine): string[]
  /** Breaks all connections; new ones can be made when it returns. */
  cut(): Promise<void>
}

/** For members, for those who join, for large values. */
const [MESH_PORT, DOOR_PORT, BULK_PORT] = [8289, 8290, 8291]
const relay = fileURLToPath(new URL('relay.ts', import.meta.url))

export interface LaggyLinkOptions {
  /** How long each piece takes, one way. */
  readonly delayMs: number
  /** Whether large values may have a connection of their own, or only what the mesh has. */
  readonly direct: boolean
}

export async function createLaggyLink(
  t: Test,
  { delayMs, direct }: LaggyLinkOptions,
): Promise<LaggyLink> {
  const ports = [MESH_PORT, DOOR_PORT, ...(direct ? [BULK_PORT] : [])]
  // A short path: the system cuts off those of sockets that are long.
  const folder = mkdtempSync(join(tmpdir(), 'comfymesh-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [one, inPlaceOfOther] = createNetwork(t, 2).machines as [Machine, Machine]
  const [other, inPlaceOfOne] = createNetwork(t, 2).machines as [Machine, Machine]
  stand(inPlaceOfOther, one, other)
  stand(inPlaceOfOne, other, one)

  async function carry(within: readonly string[], delay: number, ends: string[]) {
    const [command, ...argv] = [...within, process.execPath, '--import=tsx', relay]
    const child = spawn(command!, [...argv, String(delay), ...ends], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    let ready = ''
    while (ready.split('\n').length <= ends.length / 2)
      ready += String((await once(child.stdout!, 'data'))[0])
    return child
  }

  const between = (name: string, port: number) => join(folder, `${name}-${port}`)
  const near = (): Promise<ChildProcess> =>
    carry(
      inPlaceOfOther.within,
      delayMs,
      ports.flatMap((port) => [
        ...[`${other.address}:${port}`, between('other', port)],
        ...[between('one', port), `${one.address}:${port}`],
      ]),
    )
  await carry(
    inPlaceOfOne.within,
    0,
    ports.flatMap((port) => [
      ...[`${one.address}:${port}`, between('one', port)],
      ...[between('other', port), `${other.address}:${port}`],
    ]),
  )
  let carrier = await near()

  return {
    machines: [one, other],
    flags: ({ address }) => [
      ...['--discovery', 'off', '--mesh-port', String(MESH_PORT)],
      ...['--peer', `${address}:${MESH_PORT}`],
    ],
    async cut() {
      carrier.kill('SIGKILL')
      await once(carrier, 'exit')
      carrier = await near()
    },
  }
}

/** On the network of `neighbour`, `standIn` has the address of somebody who is elsewhere. */
function stand(standIn: Machine, neighbour: Machine, absent: Machine): void {
  standIn.move(absent.address)
  standIn.neighbour(neighbour.address)
  neighbour.neighbour(absent.address)
}
