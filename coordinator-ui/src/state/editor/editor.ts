/**
 * The workflow that is being edited, with what it was before, and its run. Kept in the browser at
 * each change: a reload, a crash or a lost connection loses nothing.
 */
import { type JsonObject, parseJson, stringifyJson } from '@comfymesh/protocol/json'
import { isObject } from '../../json-object.ts'
import { createStore } from '../store.ts'
import { emptyWorkflow, openedWorkflow, type Workflow } from './document.ts'
import { amended, ended, type History, redone, startHistory, step, undone } from './history.ts'
import { graphAt, type Path, withEveryGraph, withGraphAt } from './open-graph.ts'
import { noProblems, type RunProblems } from './run-state.ts'

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
  /** The subgraph that is looked into; an undone step may have taken it away. */
  readonly path: Path
  /** Whether the browser has kept the latest change. */
  readonly isKept: boolean
}

export const UNNAMED = 'Unnamed workflow'

/** Of this tab, and for the next one: a reload finds its own, a new tab what was done last. */
const KEY = 'comfymesh.editor'

const started: Document = { name: UNNAMED, workflow: emptyWorkflow() }

export const editor = createStore<EditorState>(stored())

export const currentDocument = (): Document => editor.get().history.present

/** The graph that is open in it: what edits are about. */
export const openGraph = ({ history, path }: EditorState): Workflow =>
  graphAt(history.present.workflow, path)

export const currentGraph = (): Workflow => openGraph(editor.get())

export function isDirty({ history: { present }, saved }: EditorState): boolean {
  return saved === undefined
    ? present.workflow !== started.workflow
    : present.name !== saved.name || present.workflow !== saved.workflow
}

/**
 * Changes the open graph.
 * @param topic edits of one topic in a row are one step.
 */
export function edit(change: (graph: Workflow) => Workflow, topic?: string): void {
  editor.set((state) => {
    const { present } = state.history
    const workflow = withGraphAt(present.workflow, state.path, change)
    if (workflow === present.workflow) return state
    return { ...state, history: step(state.history, { ...present, workflow }, topic) }
  })
}

/** Looks into a subgraph, or out of it again. */
export const lookInto = (path: Path) =>
  editor.set((state) => ({ ...state, path, history: ended(state.history) }))

/** The next edit is a step of its own. */
export const endStep = () => changeHistory(ended)
export const undo = () => changeHistory(undone)
export const redo = () => changeHistory(redone)

function changeHistory(change: (history: History<Document>) => History<Document>): void {
  editor.set((state) => ({ ...state, history: change(state.history) }))
}

export interface Opening {
  /** It lies somewhere, as a file or in the folder, just so. */
  readonly isSaved?: boolean
  readonly file?: FolderFile
}

/** Opens another workflow; undo brings back the one before. */
export function openDocument(opened: Document, { isSaved = false, file }: Opening = {}): void {
  editor.set(({ history, openings, isKept }) => ({
    history: step(history, opened),
    saved: isSaved ? opened : undefined,
    ...(file && { file }),
    problems: noProblems,
    openings: openings + 1,
    path: [],
    isKept,
  }))
}

/** Changes every graph of the document, without a step that a user would have to undo. */
export function amend(change: (graph: Workflow) => Workflow): void {
  changeHistory((history) => {
    const { present } = history
    return amended(history, { ...present, workflow: withEveryGraph(present.workflow, change) })
  })
}

/** What was given lies in the user's folder now. */
export function markSaved(saved: Document, file: FolderFile): void {
  editor.set((state) => {
    const { present } = state.history
    const isPresent = present.workflow === saved.workflow
    const history = isPresent ? amended(state.history, saved) : state.history
    return { ...state, history, saved, file }
  })
}

export const setProblems = (problems: RunProblems) =>
  editor.set((state) => ({ ...state, problems }))

export const setRun = (jobId: string) =>
  editor.set((state) => ({ ...state, jobId, problems: noProblems }))

let waiting: ReturnType<typeof setTimeout> | undefined
/** Long enough for a word that is typed, and short enough for a crash. */
const KEEP_AFTER_MS = 250

/** Keeps each change soon, and the last ones when the page goes. @returns stops. */
export function keepEditor(): () => void {
  let before = editor.get().history.present
  const unsubscribe = editor.subscribe(() => {
    if (editor.get().history.present === before) return
    before = editor.get().history.present
    waiting ??= setTimeout(keepNow, KEEP_AFTER_MS)
  })
  window.addEventListener('pagehide', keepNow)
  return () => {
    keepNow()
    unsubscribe()
    window.removeEventListener('pagehide', keepNow)
  }
}

function keepNow(): void {
  clearTimeout(waiting)
  waiting = undefined
  const state = editor.get()
  const { present } = state.history
  const { file } = state
  const isKept = stores(stringifyJson({ ...present, file, isDirty: isDirty(state) }))
  if (isKept !== state.isKept) editor.set({ ...state, isKept })
}

function stores(text: string): boolean {
  try {
    sessionStorage.setItem(KEY, text)
    localStorage.setItem(KEY, text)
    return true
  } catch {
    // Full or forbidden: the page says so, and the file can still be saved.
    return false
  }
}

function stored(): EditorState {
  try {
    const text = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY)
    if (text === null) return startWith(started)
    const { name, workflow, file, isDirty } = parseJson(text) as JsonObject
    const present = { name: String(name), workflow: openedWorkflow(workflow ?? null) }
    return {
      ...startWith(present),
      saved: isDirty === true ? undefined : present,
      ...(isObject(file) && { file: file as unknown as FolderFile }),
    }
  } catch {
    return startWith(started)
  }
}

function startWith(present: Document): EditorState {
  return {
    history: startHistory(present),
    saved: undefined,
    problems: noProblems,
    openings: 0,
    path: [],
    isKept: true,
  }
}
