/** The user's workflows, in the folder that ComfyUI's own frontend saves them to. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { get, post, Refused } from './http.ts'

const FOLDER = 'workflows'

export interface SavedWorkflow {
  /** Below the folder, without `.json`; folders are parted by slashes. */
  readonly name: string
  readonly modifiedAtMs: number
}

/** The latest first. */
export async function listWorkflows(signal?: AbortSignal): Promise<SavedWorkflow[]> {
  const query = new URLSearchParams({
    dir: FOLDER,
    recurse: 'true',
    split: 'false',
    full_info: 'true',
  })
  const files = await get<{ path: string; modified: number }[]>(
    `api/userdata?${query}`,
    signal,
  ).catch((error: unknown) => {
    // No workflow was ever saved, so there is no folder yet.
    if (error instanceof Refused && error.status === 404) return []
    throw error
  })
  return files
    .filter(({ path }) => path.endsWith('.json'))
    .map(({ path, modified }) => ({ name: path.slice(0, -'.json'.length), modifiedAtMs: modified }))
    .toSorted((one, other) => other.modifiedAtMs - one.modifiedAtMs)
}

export const readWorkflow = (name: string) => get<JsonValue>(pathOf(name))

/**
 * When the file of that name was written last, in milliseconds; undefined where there is none. Who
 * wrote it may have been another page, or ComfyUI's own.
 */
export async function modifiedAtMsOf(name: string): Promise<number | undefined> {
  return (await listWorkflows()).find((saved) => saved.name === name)?.modifiedAtMs
}

/** @returns when it was written; undefined where there is one of that name that was not to be overwritten. */
export async function saveWorkflow(
  name: string,
  workflow: JsonValue,
  { overwrite }: { readonly overwrite: boolean },
): Promise<number | undefined> {
  try {
    const query = `overwrite=${overwrite}&full_info=true`
    return (await post<{ modified: number }>(`${pathOf(name)}?${query}`, workflow)).modified
  } catch (error) {
    if (error instanceof Refused && error.status === 409) return undefined
    throw error
  }
}

/** One segment of the address, slashes and all. */
const pathOf = (name: string) => `api/userdata/${encodeURIComponent(`${FOLDER}/${name}.json`)}`
