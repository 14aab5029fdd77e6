/**
 * How many connections there may be. Whoever holds thousands open and says nothing must not keep
 * others out, so the oldest one that asks for nothing makes room for a new one.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { isLoopback } from './edge.ts'

export interface ConnectionLimits {
  readonly total: number
  /** Of one address other than this machine's own. */
  readonly perAddress: number
}

/**
 * A browser has six and a WebSocket, a script that submits a thousand prompts at once a thousand.
 * An idle one costs some 20 KB.
 */
export const connectionLimits: ConnectionLimits = { total: 2048, perAddress: 512 }

export function limitConnections(server: Server, limits: ConnectionLimits): void {
  const open = new Map<Socket, string>()
  /** Those without a request, the one that has been so for longest first. */
  const idle = new Set<Socket>()
  const perAddress = new Map<string, number>()

  const forget = (socket: Socket): void => {
    const address = open.get(socket)
    if (address === undefined) return
    open.delete(socket)
    idle.delete(socket)
    const left = perAddress.get(address)! - 1
    if (left === 0) perAddress.delete(address)
    else perAddress.set(address, left)
  }
  const makeRoom = (): boolean => {
    if (open.size < limits.total) return true
    const [oldest] = idle
    if (oldest === undefined) return false
    forget(oldest)
    oldest.destroy()
    return true
  }

  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (perAddress.get(address) ?? 0) + 1
    const isTooMany = !isLoopback(address) && count > limits.perAddress
    if (isTooMany || !makeRoom()) return void socket.destroy()
    open.set(socket, address)
    perAddress.set(address, count)
    idle.add(socket)
    socket.once('close', () => forget(socket))
  })
  server.on('request', ({ socket }, response) => {
    idle.delete(socket)
    response.once('close', () => {
      if (open.has(socket)) idle.add(socket)
    })
  })
  server.on('upgrade', ({ socket }) => idle.delete(socket))
}
