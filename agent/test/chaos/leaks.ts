/** What a machine may still hold when nothing is to be done any more. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { linuxProcess } from '../processes.ts'
import { BLOB_BUDGET_BYTES, type Machine } from './machine.ts'

export interface Rest {
  readonly jobs: number
  readonly sockets: number
  readonly openFiles: number
  readonly heapBytes: number
  /** What no file backs; 0 where it is not told. */
  readonly memoryBytes: number
  readonly blobBytes: number
  /** Files that were being written. */
  readonly leftovers: readonly string[]
}

export async function restOf(machine: Machine): Promise<Rest> {
  const metrics = await machine.text('/metrics')
  const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1])
  const staging = filesOf(join(machine.blobsFolder, 'staging'))
  return {
    jobs: metric('comfymesh_jobs_waiting') + metric('comfymesh_jobs_running'),
    sockets: metric('nodejs_active_resources{type="TCPSocketWrap"}'),
    openFiles: metric('process_open_fds'),
    heapBytes: metric('nodejs_heap_size_used_bytes'),
    memoryBytes: linuxProcess(machine.agent!.pid)?.anonymousBytes ?? 0,
    blobBytes: sum(filesOf(machine.blobsFolder).map((path) => statSync(path).size)),
    leftovers: staging,
  }
}

const MOST_MEMORY_BYTES = 300 * 2 ** 20
/** Links to the others, two while both sides dial at once, channels that are kept for a while. */
const MORE_OPEN_FILES = 40

/** @returns what is too much. @param before what the machine held when the chaos began. */
export function leaks(before: Rest, now: Rest): string[] {
  const found: string[] = []
  if (now.jobs !== 0) found.push(`${now.jobs} jobs`)
  if (now.leftovers.length > 0) found.push(`files being written: ${now.leftovers.join(', ')}`)
  if (now.openFiles > before.openFiles + MORE_OPEN_FILES) {
    found.push(`${now.openFiles} open files, ${before.openFiles} before`)
  }
  if (now.memoryBytes > MOST_MEMORY_BYTES) found.push(`${now.memoryBytes} bytes of memory`)
  if (now.blobBytes > BLOB_BUDGET_BYTES) found.push(`${now.blobBytes} bytes of blobs`)
  return found
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
