/**
 * A program of the tests that carries connections to where its arguments say, late: `<delay in ms>
 * <from> <to> [<from> <to> ...]`, each `host:port` or the path of a socket. They break when it ends.
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type ListenOptions, type Socket } from 'node:net'

const [delay, ...ends] = process.argv.slice(2)
const delayMs = Number(delay)

for (let i = 0; i < ends.length; i += 2) {
  const [from, to] = [placeOf(ends[i]!), placeOf(ends[i + 1]!)]
  // The socket of one that was killed.
  if ('path' in from) rmSync(from.path, { force: true })
  const server = createServer({ allowHalfOpen: true }, (arrived) => {
    const passed = connect({ ...to, allowHalfOpen: true })
    carry(arrived, passed)
    carry(passed, arrived)
  })
  server.listen(from as ListenOptions, () => process.stdout.write('ready\n'))
}

function placeOf(end: string): { path: string } | { host: string; port: number } {
  const [host, port] = end.split(':')
  return port === undefined ? { path: end } : { host: host!, port: Number(port) }
}

/** The pieces stay in their order: timers of the same length do. */
function carry(from: Socket, to: Socket): void {
  const later = (what: () => void) => setTimeout(what, delayMs)
  from.on('data', (piece) => {
    from.pause()
    later(() => to.write(piece))
    // No more than the link would hold.
    setImmediate(() =>
      to.writableNeedDrain ? to.once('drain', () => from.resume()) : from.resume(),
    )
  })
  from.on('end', () => later(() => to.end()))
  from.on('error', () => {})
  from.on('close', () => later(() => to.destroy()))
}
