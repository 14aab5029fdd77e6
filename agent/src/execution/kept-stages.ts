/**
 * Stages that ended a short while ago: what they told for submitters that lost their word, and
 * their values for whoever needs them next.
 */
import type { StageBlobs } from './perform-stage.ts'
import type { StageWork } from './stage-work.ts'

export interface KeptStages {
  add(stageId: string, work: StageWork): void
  /** Keeps bytes for a while, as the values of a stage. */
  keep(hashes: readonly string[]): void
  /** What an attempt may join: what was made, as long as it is all here, or its own failure. */
  get(stageId: string, attemptId: string): StageWork | undefined
  /** Forgets what stages told: asked again they run again. Their values stay for who needs them. */
  forget(): void
  /** Forgets all. */
  stop(): void
}

/** What is kept may hold so much of pictures; the oldest goes first. */
const MAX_PICTURE_BYTES = 256 * 2 ** 20

interface Kept {
  readonly work: StageWork
  readonly pictureBytes: number
}

export function createKeptStages(
  options: { readonly keepMs: number },
  modules: { readonly blobs: Pick<StageBlobs, 'has' | 'hold'> },
): KeptStages {
  const { blobs } = modules
  /** By stage id, the oldest first. */
  const stages = new Map<string, Kept>()
  const endings = new Map<() => void, NodeJS.Timeout>()

  function afterAWhile(end: () => void): void {
    const timer = setTimeout(() => {
      endings.delete(end)
      end()
    }, options.keepMs)
    endings.set(end, timer.unref())
  }

  function keep(hashes: readonly string[]): void {
    if (hashes.length > 0) afterAWhile(blobs.hold(hashes))
  }

  function forget(stageId: string, work: StageWork): void {
    if (stages.get(stageId)?.work === work) stages.delete(stageId)
  }

  function makeRoom(): void {
    let bytes = [...stages.values()].reduce((sum, { pictureBytes }) => sum + pictureBytes, 0)
    for (const [stageId, { pictureBytes }] of stages) {
      if (bytes <= MAX_PICTURE_BYTES) return
      stages.delete(stageId)
      bytes -= pictureBytes
    }
  }

  return {
    add(stageId, work) {
      const hashes = work.values().map(({ blob }) => blob.hash)
      // Whoever asked in this process has all of it, and its pictures are on their way to disk.
      if (!work.mayBeAskedAgain) return keep(hashes)
      stages.delete(stageId)
      stages.set(stageId, { work, pictureBytes: work.pictureBytes() })
      const release = blobs.hold(hashes)
      // In one, so that it is known no longer than its values are held.
      afterAWhile(() => {
        forget(stageId, work)
        release()
      })
      makeRoom()
    },
    keep,
    get(stageId, attemptId) {
      const work = stages.get(stageId)?.work
      if (work === undefined || work.isGivenUp) return undefined
      if (work.state === 'failed') return work.has(attemptId) ? work : undefined
      return work.values().every(({ blob }) => blobs.has(blob.hash)) ? work : undefined
    },
    forget: () => stages.clear(),
    stop() {
      for (const [end, timer] of endings) {
        clearTimeout(timer)
        end()
      }
      endings.clear()
      stages.clear()
    },
  }
}
