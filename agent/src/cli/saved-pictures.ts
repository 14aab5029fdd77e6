/** Brings the pictures of a job to where the user wants them. */
import { writeFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import type { JobState } from '@comfymesh/protocol/job'
import { makeFolder } from '../base/make-folder.ts'
import { type AgentAddress, fetchMadeFile, type MadeFile } from './agent-client.ts'
import type { SavedFile } from './job-summary.ts'

/**
 * Saves what SaveImage nodes made into a folder, or what PreviewImage nodes made where
 * there is nothing else. Existing files are kept: a taken name gets a number.
 */
export async function savePictures(
  agent: AgentAddress,
  state: JobState,
  folder: string,
): Promise<SavedFile[]> {
  const made = madeFiles(state)
  const results = made.filter(({ file }) => file.type === 'output')
  const chosen = results.length > 0 ? results : made
  if (chosen.length > 0) makeFolder(folder)
  const saved: SavedFile[] = []
  for (const { nodeId, file } of chosen) {
    const bytes = await fetchMadeFile(agent, file)
    saved.push({ nodeId, path: await writeNew(join(folder, parse(file.filename).base), bytes) })
  }
  return saved
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
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
