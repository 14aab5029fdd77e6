/**
 * What the user is working on: a prompt with its values as they stand in the form. Kept in the
 * browser at each change, so that neither a reload nor a lost connection loses what was typed.
 */
import type { JsonObject } from '@comfymesh/protocol/json'
import type { Prompt } from '@comfymesh/protocol/workflow'
import { FORM_KEY, type FormChoice, formText, workflowWithForm } from './form-choice.ts'
import { keptStore } from './kept-store.ts'

export interface Draft {
  /** Of the file it came from; undefined for the page's own. */
  readonly name?: string
  readonly prompt: Prompt
  /** The workflow it was converted from: travels along into the pictures. */
  readonly workflow?: JsonObject
  /** Which parameters are shown first, and how they are called; absent for the usual ones. */
  readonly form?: FormChoice
  /** A new seed for each run. */
  readonly isSeedRandom: boolean
}

export const draft = keptStore<Draft>('comfymesh.draft')

/** What goes into the pictures of a draft, so that dropping one brings all of it back. */
export function pictureInfo({ workflow, form }: Draft): JsonObject {
  if (workflow !== undefined) {
    return { workflow: form === undefined ? workflow : workflowWithForm(workflow, form) }
  }
  return form === undefined ? {} : { [FORM_KEY]: formText(form) }
}
