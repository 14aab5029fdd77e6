/** Brings what stands in the form of Create onto the drawing. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import type { Draft } from '../draft.ts'
import { openDocument } from './editor.ts'
import { UNNAMED } from './editor-state.ts'
import { withPromptValues, workflowOfPrompt } from './from-prompt.ts'

/** The workflow that the draft was made of, with its values; or a drawing of its prompt. */
export function openDraft({ name, prompt, workflow }: Draft, definitions: NodeDefinitions): void {
  openDocument({
    name: name ?? UNNAMED,
    workflow:
      workflow === undefined
        ? workflowOfPrompt(prompt, definitions)
        : withPromptValues(workflow, prompt, definitions),
  })
}
