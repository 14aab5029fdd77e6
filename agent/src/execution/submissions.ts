/** From what a client sends to an accepted job, or to the reason why not in ComfyUI's words. */
import { randomUUID } from 'node:crypto'
import type { JobRequest, JobState } from '@comfymesh/protocol/job'
import type { JsonObject, JsonValue } from '@comfymesh/protocol/json'
import { heldBytes } from '@comfymesh/protocol/json-extent'
import { planOptionsOf } from '@comfymesh/protocol/plan'
import type { NodeErrors, Problem } from '@comfymesh/protocol/refusal'
import type { NodeDefinitions, NodeId } from '@comfymesh/protocol/workflow'
import type { Executor } from '../executors/executor.ts'
import { validatePrompt } from '../planning/validate.ts'
import type { JobStore } from '../store/jobs.ts'
import { type Gathering, validateInMesh } from './mesh-validation.ts'
import type { ReservePlace } from './queue-room.ts'

/** A prompt as a client sends it; what is wrong with it is said in ComfyUI's words. */
export interface Submission {
  readonly prompt: JsonValue | undefined
  readonly extraData: JsonObject
  /** A canonical lowercase UUID; made here when the client names none. */
  readonly id?: JsonValue
  /** ComfyUI's `number`: a place in the queue instead of the next one. */
  readonly number?: number
  readonly front?: boolean
  /** Only these output nodes (ComfyUI's partial_execution_targets). */
  readonly targets?: readonly NodeId[]
}

export type SubmissionResult =
  | { readonly accepted: true; readonly job: JobState; readonly nodeErrors: NodeErrors }
  | { readonly accepted: false; readonly error: Problem; readonly nodeErrors: NodeErrors }

export interface SubmissionsModules {
  readonly store: Pick<JobStore, 'nextNumber'>
  readonly executor: Pick<Executor, 'validation' | 'prepare'>
  readonly definitions: () => Promise<NodeDefinitions>
  /** Other members that may offer more in a moment. */
  readonly gathering: Gathering
  readonly now: () => number
  readonly reservePlace: ReservePlace
  /** Whether a job of this id waits or runs. */
  readonly isUnfinished: (id: string) => boolean
  /** Puts the job on disk and into the queue. */
  readonly accept: (request: JobRequest) => Promise<JobState>
}

/**
 * When it resolves to an accepted job, that job is on disk.
 * @throws MeshError `busy` when the queue is full, `storage_failed`
 */
export type Submit = (submission: Submission) => Promise<SubmissionResult>

export function createSubmit(modules: SubmissionsModules): Submit {
  /** Ids on their way through validation and onto the disk. */
  const submitting = new Set<string>()

  async function validateAndAccept(
    submission: Submission,
    given: JsonValue,
    id: string,
    number: number,
  ): Promise<SubmissionResult> {
    // Almost every prompt is valid, and a first one waits less when this begins now.
    modules.executor.prepare()
    const validate = async () =>
      validatePrompt({
        prompt: given,
        definitions: await modules.definitions(),
        custom: (classType) => modules.executor.validation(classType),
        ...(submission.targets && { targets: submission.targets }),
      })
    const validation = await validateInMesh(validate, modules.gathering)
    if (!validation.valid) return { ...validation, accepted: false }
    const { prompt, outputs, nodeErrors } = validation
    const createdAtMs = modules.now()
    const extraData = { ...submission.extraData, create_time: createdAtMs }
    const request = { id, number, prompt, extraData, outputs: [...outputs], createdAtMs }
    return { accepted: true, job: await modules.accept(request), nodeErrors }
  }

  async function submit(submission: Submission): Promise<SubmissionResult> {
    const number = submission.number ?? takeNumber(modules.store, submission.front ?? false)
    const id = submission.id ?? randomUUID()
    if (submission.prompt === undefined) return refused(refusals.noPrompt)
    if (!isJobId(id)) return refused(refusals.badId)
    const wrongOptions = planOptionsProblem(submission.extraData)
    if (wrongOptions !== undefined) return refused(wrongOptions)
    if (submitting.has(id) || modules.isUnfinished(id)) return refused(refusals.idInUse)
    submitting.add(id)
    try {
      return await validateAndAccept(submission, submission.prompt, id, number)
    } finally {
      submitting.delete(id)
    }
  }

  return async (submission) => {
    const { prompt, extraData } = submission
    const leave = modules.reservePlace(heldBytes(prompt ?? null) + heldBytes(extraData))
    try {
      return await submit(submission)
    } finally {
      leave()
    }
  }
}

/** ComfyUI counts every prompt; one for the front gets its number negated. */
function takeNumber(store: Pick<JobStore, 'nextNumber'>, front: boolean): number {
  const number = store.nextNumber()
  return front ? -number : number
}

/** Whether a client may call a job so: a UUID as Python writes it. */
export function isJobId(id: unknown): id is string {
  return typeof id === 'string' && UUID.test(id)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** What is wrong with what the prompt asks of the planner, if anything. */
function planOptionsProblem(extraData: JsonObject): Refusal | undefined {
  try {
    planOptionsOf(extraData)
    return undefined
  } catch (error) {
    return [
      'invalid_plan_options',
      'Invalid options in extra_data.comfymesh',
      (error as Error).message,
    ]
  }
}

type Refusal = readonly [type: string, message: string, details: string]

/** Why a submission is not even validated: type, message and details as clients know them. */
const refusals = {
  noPrompt: ['no_prompt', 'No prompt provided', 'No prompt provided'],
  badId: [
    'invalid_prompt_id',
    'prompt_id must be a valid UUID',
    'prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one',
  ],
  idInUse: [
    'invalid_prompt_id',
    'prompt_id is in use',
    'a job with this prompt_id is queued or running; wait until it ended, or omit the id to let the server generate one',
  ],
} as const

function refused([type, message, details]: Refusal) {
  const error = { type, message, details, extra_info: {} }
  return { accepted: false, error, nodeErrors: {} } as const
}
