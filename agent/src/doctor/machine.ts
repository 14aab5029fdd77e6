/** The machine itself: Node.js, processor, memory. */
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os'
import { byteSize } from '../base/duration.ts'
import type { Finding } from './finding.ts'

/** The oldest that we support: Node 20's last minor versions. */
const OLDEST_NODE = [20, 19] as const

export async function checkNode(): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isSupported =
    major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  const data = { node: process.versions.node, platform: platform(), arch: arch() }
  const message = `${process.versions.node} on ${platform()} ${release()} (${arch()})`
  if (isSupported) return [{ check: 'Node.js', state: 'ok', message, data }]
  const advice = `Install Node.js ${OLDEST_NODE.join('.')} or newer from https://nodejs.org.`
  return [{ check: 'Node.js', state: 'problem', message, advice, data }]
}

/** SD 1.5 at 512x512 on the CPU takes about 3 GB besides its mapped file. */
const ENOUGH_MEMORY_BYTES = 6 * 2 ** 30

export async function checkMemory(): Promise<Finding[]> {
  const [total, free] = [totalmem(), freemem()]
  const processor = cpus()[0]?.model.trim() ?? 'an unknown processor'
  const cores = availableParallelism()
  const message = `${byteSize(total)}, ${byteSize(free)} free; ${cores} cores of ${processor}`
  const data = { totalBytes: total, freeBytes: free, cores, processor }
  if (total >= ENOUGH_MEMORY_BYTES) return [{ check: 'Memory', state: 'ok', message, data }]
  const advice = 'Large models will be slow or fail here; smaller pictures need less.'
  return [{ check: 'Memory', state: 'note', message, advice, data }]
}
