/** Whether the agent can write where it has to, has room there, and gets its port. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { AgentSettings } from '../../agent.ts'
import { byteSize } from '../../base/duration.ts'
import { makeFolder } from '../../base/make-folder.ts'
import { frontendFolder } from '../../gateway/frontend-folder.ts'
import { agentHealth, localUrl } from '../agent-client.ts'
import type { Finding } from './finding.ts'

export async function checkFolders({ dataDir, folders }: AgentSettings): Promise<Finding[]> {
  return [
    folderFinding('Data folder', dataDir, '--data-dir'),
    folderFinding('Output folder', folders.output, '--output-dir'),
  ]
}

function folderFinding(check: string, folder: string, flag: string): Finding {
  const data = { folder }
  try {
    makeFolder(folder)
    const trial = join(folder, `.comfymesh-doctor-${process.pid}`)
    writeFileSync(trial, '')
    rmSync(trial)
    return { check, state: 'ok', message: folder, data }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message = `${folder} cannot be written to (${code})`
    const advice = `Check its permissions, or choose another with ${flag}.`
    return { check, state: 'problem', message, advice, data }
  }
}

export async function checkFrontend({ frontend }: AgentSettings): Promise<Finding[]> {
  if (frontend === undefined) return []
  try {
    const folder = frontendFolder(frontend)
    return [{ check: 'Frontend', state: 'ok', message: folder, data: { folder } }]
  } catch (error) {
    const { message } = error as Error
    return [{ check: 'Frontend', state: 'problem', message, data: { folder: frontend } }]
  }
}

/** Less than this and a database or a few pictures may not fit. */
const LITTLE_BYTES = 200 * 2 ** 20
const COMFORTABLE_BYTES = 2 * 2 ** 30

export async function checkDisk({ dataDir }: AgentSettings): Promise<Finding[]> {
  const { bavail, bsize } = await statfs(nearestExisting(dataDir))
  const freeBytes = bavail * bsize
  const message = `${byteSize(freeBytes)} free where the data folder lies`
  const data = { freeBytes }
  if (freeBytes >= COMFORTABLE_BYTES) return [{ check: 'Disk', state: 'ok', message, data }]
  const state = freeBytes < LITTLE_BYTES ? 'problem' : 'note'
  const advice = 'Make room, or put the data folder on another disk with --data-dir.'
  return [{ check: 'Disk', state, message, advice, data }]
}

function nearestExisting(folder: string): string {
  const parent = dirname(folder)
  return existsSync(folder) || parent === folder ? folder : nearestExisting(parent)
}

export async function checkPort(settings: AgentSettings): Promise<Finding[]> {
  const { host, port } = settings
  const url = localUrl(settings)
  const health = await agentHealth(url)
  if (health !== undefined) {
    const message = `an agent (${health.version}) is running at ${url}`
    return [{ check: 'Port', state: 'ok', message, data: { port, running: true } }]
  }
  const data = { port, running: false }
  const code = await listeningError(host, port)
  if (code === undefined) return [{ check: 'Port', state: 'ok', message: `${port} is free`, data }]
  const message =
    code === 'EADDRINUSE'
      ? `${port} is taken by another program`
      : `${host}:${port} cannot be listened on (${code})`
  const advice = 'Choose another with --port or --host.'
  return [{ check: 'Port', state: 'problem', message, advice, data }]
}

function listeningError(host: string, port: number): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
