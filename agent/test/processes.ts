/** Processes of this machine as its system tells of them: who started whom, and what they hold. */
import { readdirSync, readFileSync } from 'node:fs'
import { processes } from 'systeminformation'

export interface ProcessInfo {
  readonly pid: number
  readonly parentPid: number
  /** Resident memory: anonymous pages and those of mapped files. */
  readonly residentBytes: number
  /** What no file backs, so that the system cannot take it back; 0 where it is not told. */
  readonly anonymousBytes: number
}

/** The process and all that descend from it, those that ended but were not awaited left out. */
export async function processTree(pid: number): Promise<ProcessInfo[]> {
  const all = await listProcesses()
  const tree = all.filter((one) => one.pid === pid)
  // Grows while it is walked.
  for (const parent of tree) tree.push(...all.filter((one) => one.parentPid === parent.pid))
  return tree
}

/** The processes that this one started, and those that they started. */
export async function descendants(pid: number): Promise<number[]> {
  return (await processTree(pid)).map((one) => one.pid).filter((one) => one !== pid)
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await processTree(pid)).length > 0
}

async function listProcesses(): Promise<ProcessInfo[]> {
  if (process.platform === 'linux') return linuxProcesses()
  const { list } = await processes()
  return list
    .filter(({ state }) => state !== 'zombie')
    .map(({ pid, parentPid, memRss }) => ({
      pid,
      parentPid,
      residentBytes: memRss * 1024,
      anonymousBytes: 0,
    }))
}

/** Quick enough to be asked many times a second. */
function linuxProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => linuxProcess(Number(name)))
    .filter((one) => one !== undefined)
}

export function linuxProcess(pid: number): ProcessInfo | undefined {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    // It ended meanwhile.
    return undefined
  }
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1]
  if (field('State') === 'Z') return undefined
  const bytes = (name: string) => Number(field(name) ?? 0) * 1024
  return {
    pid,
    parentPid: Number(field('PPid')),
    residentBytes: bytes('VmRSS'),
    anonymousBytes: bytes('RssAnon'),
  }
}
