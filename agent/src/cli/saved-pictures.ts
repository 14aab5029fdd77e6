/** Brings the pictures of a job to where the user wants them. */
import { rmSync, writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import type { JobState } from '@comfymesh/protocol/job'
import { makeFolder } from '../base/make-folder.ts'
import { type AgentAddress, fetchMadeFile, type MadeFile, outputFolder } from './agent-client.ts'
import { UsageError } from './arguments.ts'
import type { SavedFile } from './job-summary.ts'

/**
 * Makes the folder where pictures are to go, before anything runs for them.
 * @throws UsageError saying why none can be written there.
 */
export function preparePictureFolder(folder: string): void {
  const trial = join(folder, `.comfymesh-${process.pid}`)
  try {
    makeFolder(folder)
    writeFileSync(trial, '')
    rmSync(trial)
  } catch (error) {
    throw new UsageError(
      `No pictures can be saved into ${folder}: ${reasonOf(error)}. Name another folder with --out.`,
    )
  }
}

/**
 * Saves what SaveImage nodes made into a folder, or what PreviewImage nodes made where
 * there is nothing else. Existing files are kept: a taken name gets a number.
 * @throws Error naming the picture that could not be written, and where the agent has it.
 */
export async function savePictures(
  agent: AgentAddress,
  state: JobState,
  folder: string,
): Promise<SavedFile[]> {
  const made = madeFiles(state)
  const results = made.filter(({ file }) => file.type === 'output')
  const chosen = results.length > 0 ? results : made
  const saved: SavedFile[] = []
  for (const { nodeId, file } of chosen) {
    const bytes = await fetchMadeFile(agent, file)
    const path = join(folder, parse(file.filename).base)
    const written = await writeNew(path, bytes).catch(async (error) => {
      throw new Error(
        `${path} could not be written: ${reasonOf(error)}. The agent has the picture at ${await placeOf(agent, file)}.`,
      )
    })
    saved.push({ nodeId, path: written })
  }
  return saved
}

/** Where the agent has a picture: results in its folder, previews until it starts anew. */
async function placeOf(agent: AgentAddress, file: MadeFile): Promise<string> {
  const { filename, subfolder, type } = file
  if (type !== 'output') return `${agent.url}/view?${new URLSearchParams({ ...file })}`
  return join(await outputFolder(agent), subfolder, filename)
}

const reasons: { readonly [code: string]: string } = {
  EACCES: 'this user may not write there',
  EDQUOT: "this user's share of the disk is full",
  EEXIST: 'a file has this name or that of a folder above it',
  ENOENT: 'it cannot be made there',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'it is a file, or lies below one',
  EPERM: 'this user may not write there',
  EROFS: 'the disk is read-only',
}

function reasonOf(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  return reasons[code] ?? message
}

/** The files that nodes say they made, in the order of the nodes. */
export function madeFiles({ outputs }: JobState): { nodeId: string; file: MadeFile }[] {
  return Object.entries(outputs).flatMap(([nodeId, output]) => {
    const images = Array.isArray(output.images) ? output.images : []
    return images.map((image) => ({ nodeId, file: image as unknown as MadeFile }))
  })
}

/** Writes to `path`, or to `name (1).png` and so on where that exists. */
async function writeNew(path: string, bytes: Buffer): Promise<string> {
  const { dir, name, ext } = parse(path)
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? path : join(dir, `${name} (${number})${ext}`)
    try {
      await writeFile(candidate, bytes, { flag: 'wx' })
      return candidate
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      // A full disk took part of it.
      await rm(candidate, { force: true })
      throw error
    }
  }
}
