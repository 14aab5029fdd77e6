/** Whether the agent can write where it has to, and has room there. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { byteSize } from '../base/duration.ts'
import { makeFolder } from '../base/make-folder.ts'
import type { ExaminedSettings } from './checks.ts'
import type { Finding } from './finding.ts'

export async function checkFolders({ dataDir, folders }: ExaminedSettings): Promise<Finding[]> {
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

/** Less than this and a database or a few pictures may not fit. */
const LITTLE_BYTES = 200 * 2 ** 20
const COMFORTABLE_BYTES = 2 * 2 ** 30

export async function checkDisk({ dataDir }: ExaminedSettings): Promise<Finding[]> {
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
