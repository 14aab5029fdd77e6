/**
 * Which parameters of a workflow its owner wants to see first, and under what names. Kept in the
 * workflow itself (`extra.comfymesh.form`), or where there is only a prompt, beside it. Pure.
 */
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { isObject } from '../json-object.ts'
import type { Parameter } from './parameters.ts'

export interface ChosenParameter {
  /** `nodeId.input` */
  readonly id: string
  /** Absent for its usual name. */
  readonly label?: string
}

/** In the order in which they are shown. */
export type FormChoice = readonly ChosenParameter[]

/** Under which it lies in the PNG of a picture whose prompt came without a workflow. */
export const FORM_KEY = 'comfymesh_form'

/** The parameters as their owner wants them: the chosen ones first, the others below. */
export function arranged(parameters: readonly Parameter[], form?: FormChoice): Parameter[] {
  if (form === undefined) return [...parameters]
  const chosen = form.flatMap(({ id, label }) => {
    const parameter = parameters.find((one) => one.id === id)
    return parameter === undefined
      ? []
      : [{ ...parameter, isMain: true, ...(label !== undefined && { label }) }]
  })
  const ids = new Set(form.map(({ id }) => id))
  const others = parameters.filter(({ id }) => !ids.has(id))
  return [...chosen, ...others.map((parameter) => ({ ...parameter, isMain: false }))]
}

/** What is shown as long as nobody has chosen. */
export function usualChoice(parameters: readonly Parameter[]): FormChoice {
  return parameters.filter(({ isMain }) => isMain).map(({ id }) => ({ id }))
}

/** The choice with a parameter shown or not, in its place or at the end. */
export function withShown(form: FormChoice, id: string, isShown: boolean): FormChoice {
  if (!isShown) return form.filter((one) => one.id !== id)
  return form.some((one) => one.id === id) ? form : [...form, { id }]
}

/** An empty name gives the usual one back. */
export function withLabel(form: FormChoice, id: string, label: string): FormChoice {
  return form.map((one) => (one.id !== id ? one : label === '' ? { id } : { id, label }))
}

export function formOfWorkflow({ extra }: JsonObject): FormChoice | undefined {
  const own = isObject(extra) ? extra.comfymesh : undefined
  return isObject(own) ? readForm(own.form) : undefined
}

export function workflowWithForm(workflow: JsonObject, form: FormChoice): JsonObject {
  const extra = isObject(workflow.extra) ? workflow.extra : {}
  const own = isObject(extra.comfymesh) ? extra.comfymesh : {}
  return {
    ...workflow,
    extra: { ...extra, comfymesh: { ...own, form: form.map((one) => ({ ...one })) } },
  }
}

export function formOfText(text: string | undefined): FormChoice | undefined {
  try {
    return text === undefined ? undefined : readForm(parseJson(text))
  } catch {
    return undefined
  }
}

export const formText = (form: FormChoice): string => stringifyJson(form)

/** Files come from anywhere: what is no choice counts as none. */
export function readForm(value: JsonValue | undefined): FormChoice | undefined {
  if (!Array.isArray(value)) return undefined
  const chosen = value.filter(isObject).flatMap(({ id, label }): ChosenParameter[] => {
    if (typeof id !== 'string') return []
    return [typeof label === 'string' && label !== '' ? { id, label } : { id }]
  })
  return chosen.length === value.length ? chosen : undefined
}
