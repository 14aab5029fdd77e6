/** A job once more: as it was, or its settings as the draft. */
import type { JobState } from '@comfymesh/protocol/job'
import { type Submitted, submitPrompt } from '../api/comfyui.ts'
import { isObject } from '../json-object.ts'
import { clientId } from './agent.ts'
import type { Draft } from './draft.ts'
import { FORM_KEY, formOfText, formOfWorkflow } from './form-choice.ts'

/** @throws Refused where the prompt cannot run any more. */
export function runAgain({ request }: JobState): Promise<Submitted> {
  const { extra_pnginfo, comfymesh } = request.extraData
  const extraData = {
    ...(isObject(extra_pnginfo) && { extra_pnginfo }),
    ...(isObject(comfymesh) && { comfymesh }),
  }
  return submitPrompt(request.prompt, clientId, extraData)
}

export function draftOf({ request }: JobState, name: string): Draft {
  const { extra_pnginfo } = request.extraData
  const info = isObject(extra_pnginfo) ? extra_pnginfo : {}
  const workflow = isObject(info.workflow) ? info.workflow : undefined
  const text = info[FORM_KEY]
  const form = workflow
    ? formOfWorkflow(workflow)
    : formOfText(typeof text === 'string' ? text : undefined)
  return {
    name,
    prompt: request.prompt,
    isSeedRandom: false,
    ...(workflow && { workflow }),
    ...(form && { form }),
  }
}
