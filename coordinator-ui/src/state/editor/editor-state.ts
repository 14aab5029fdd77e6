/** The state of the editor, and what it becomes: the document with what was before, and where one is in it. */
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { isObject } from '../../json-object.ts'
import { noProblems, type RunProblems } from '../problems.ts'
import { emptyWorkflow, openedWorkflow, type Workflow } from './document.ts'
import { amended, ended, type History, startHistory, step } from './history.ts'
import { graphAt, type Path, reached, withEveryGraph, withGraphAt } from './open-graph.ts'

export interface Document {
  readonly name: string
  readonly workflow: Workflow
}

export interface FolderFile {
  readonly name: string
  /** When it was written, as it was read or saved here: others write there, too. */
  readonly modifiedAtMs: number
}

export interface EditorState {
  readonly history: History<Document>
  /** As it was opened or saved last; undefined for what exists here alone. */
  readonly saved: Document | undefined
  /** The file in the user's folder that it is, where saving takes the place of what is there. */
  readonly file?: FolderFile
  /** The latest run of this page. */
  readonly jobId?: string
  /** Why the agent refused to run it. */
  readonly problems: RunProblems
  /** How many workflows were opened: another one is looked at as a whole. */
  readonly openings: number
  /** The subgraph that is looked into; it leads somewhere in the present document, always. */
  readonly path: Path
  /** Why the latest edit was refused, in words. */
  readonly refusal: string | undefined
  /** Whether the browser has kept the latest change. */
  readonly isKept: boolean
}

export const UNNAMED = 'Unnamed workflow'

const started: Document = { name: UNNAMED, workflow: emptyWorkflow() }

export function startState(present = started): EditorState {
  return {
    history: startHistory(present),
    saved: undefined,
    problems: noProblems,
    openings: 0,
    path: [],
    refusal: undefined,
    isKept: true,
  }
}

/** The graph that is open: what edits are about. */
export const openGraph = ({ history, path }: EditorState): Workflow =>
  graphAt(history.present.workflow, path)

export function isDirty({ history: { present }, saved }: EditorState): boolean {
  return saved === undefined
    ? present.workflow !== started.workflow
    : present.name !== saved.name || present.workflow !== saved.workflow
}

/**
 * With the open graph changed.
 * @param topic edits of one topic in a row are one step.
 */
export function edited(
  state: EditorState,
  change: (graph: Workflow) => Workflow,
  topic?: string,
): EditorState {
  const { present } = state.history
  const workflow = withGraphAt(present.workflow, state.path, change)
  if (workflow === present.workflow) return state
  const history = step(state.history, { ...present, workflow }, topic)
  return { ...state, history, refusal: undefined }
}

/** With every graph of the document changed, without a step that a user would have to undo. */
export function amendedState(
  state: EditorState,
  change: (graph: Workflow) => Workflow,
): EditorState {
  const { present } = state.history
  const workflow = withEveryGraph(present.workflow, change)
  return withHistory(state, amended(state.history, { ...present, workflow }))
}

/** A step back may take away the subgraph that is looked into. */
export function withHistory(state: EditorState, history: History<Document>): EditorState {
  return { ...state, history, path: reached(history.present.workflow, state.path) }
}

/** With another subgraph looked into, as far as the path leads. */
export function lookedInto(state: EditorState, path: Path): EditorState {
  return {
    ...state,
    path: reached(state.history.present.workflow, path),
    history: ended(state.history),
    refusal: undefined,
  }
}

export interface Opening {
  /** It lies somewhere, as a file or in the folder, just so. */
  readonly isSaved?: boolean
  readonly file?: FolderFile
}

/** With another workflow; a step back brings the one before. */
export function withDocument(
  { history, openings, isKept }: EditorState,
  opened: Document,
  { isSaved = false, file }: Opening = {},
): EditorState {
  return {
    ...startState(),
    history: step(history, opened),
    saved: isSaved ? opened : undefined,
    ...(file && { file }),
    openings: openings + 1,
    isKept,
  }
}

/** With what was saved elsewhere, unless the document was changed here, or is another one by now. */
export function refreshed(state: EditorState, opened: Document, file: FolderFile): EditorState {
  if (isDirty(state) || state.file?.name !== file.name) return state
  return withDocument(state, opened, { isSaved: true, file })
}

/** With what was given lying in the user's folder. */
export function savedState(state: EditorState, saved: Document, file: FolderFile): EditorState {
  const isPresent = state.history.present.workflow === saved.workflow
  const history = isPresent ? amended(state.history, saved) : state.history
  return { ...state, history, saved, file }
}

/** What is kept of it for later: the document, and which file it is. */
export function keptText(state: EditorState): string {
  const { history, file } = state
  return stringifyJson({
    ...history.present,
    ...(file && { file: { ...file } }),
    isDirty: isDirty(state),
  })
}

/**
 * As it was kept; what is no file is left out.
 * @throws SyntaxError, or MeshError `invalid_prompt`, for what holds no workflow.
 */
export function restoredState(text: string): EditorState {
  const { name, workflow, file, isDirty } = parseJson(text) as JsonObject
  const present = { name: String(name), workflow: openedWorkflow(workflow ?? null) }
  return {
    ...startState(present),
    saved: isDirty === true ? undefined : present,
    ...(isFolderFile(file) && { file }),
  }
}

function isFolderFile(value: unknown): value is FolderFile {
  if (!isObject(value)) return false
  const { name, modifiedAtMs } = value
  return typeof name === 'string' && Number.isFinite(modifiedAtMs)
}
