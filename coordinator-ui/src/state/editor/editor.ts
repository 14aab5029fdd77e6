/**
 * The workflow that is being edited, with what it was before, and its run. Kept in the browser at
 * each change: a reload, a crash or a lost connection loses nothing.
 */
import { noProblems, type RunProblems } from '../problems.ts'
import { createStore } from '../store.ts'
import type { EditorNodeId, Workflow } from './document.ts'
import {
  amendedState,
  type Document,
  type EditorState,
  edited,
  type FolderFile,
  keptText,
  lookedInto,
  type Opening,
  openGraph,
  refreshed,
  restoredState,
  savedState,
  startState,
  withDocument,
  withHistory,
} from './editor-state.ts'
import { ended, redone, undone } from './history.ts'
import type { Path } from './open-graph.ts'

/** Of this tab, and for the next one: a reload finds its own, a new tab what was done last. */
const KEY = 'comfymesh.editor'

export const editor = createStore<EditorState>(stored())

export const currentDocument = (): Document => editor.get().history.present

export const currentGraph = (): Workflow => openGraph(editor.get())

/**
 * Changes the open graph.
 * @param topic edits of one topic in a row are one step.
 */
export const edit = (change: (graph: Workflow) => Workflow, topic?: string) =>
  editor.set((state) => edited(state, change, topic))

/** Looks into a subgraph, or out of it again. */
export const lookInto = (path: Path) => editor.set((state) => lookedInto(state, path))
/** Looks into a subgraph that is drawn in the open graph. */
export const lookInside = (id: EditorNodeId) => lookInto([...editor.get().path, id])
export const lookOut = () => lookInto(editor.get().path.slice(0, -1))

/** The next edit is a step of its own. */
export const endStep = () => editor.set((state) => withHistory(state, ended(state.history)))
export const undo = () => editor.set((state) => withHistory(state, undone(state.history)))
export const redo = () => editor.set((state) => withHistory(state, redone(state.history)))

/** Opens another workflow; undo brings back the one before. */
export const openDocument = (opened: Document, opening?: Opening) =>
  editor.set((state) => withDocument(state, opened, opening))

/** Opens what was saved elsewhere, unless the document was changed here, or is another one by now. */
export const refreshDocument = (opened: Document, file: FolderFile) =>
  editor.set((state) => refreshed(state, opened, file))

/** Changes every graph of the document, without a step that a user would have to undo. */
export const amend = (change: (graph: Workflow) => Workflow) =>
  editor.set((state) => amendedState(state, change))

/** What was given lies in the user's folder now. */
export const markSaved = (saved: Document, file: FolderFile) =>
  editor.set((state) => savedState(state, saved, file))

export const setProblems = (problems: RunProblems) =>
  editor.set((state) => ({ ...state, problems }))

export const setRefusal = (refusal: string | undefined) =>
  editor.set((state) => ({ ...state, refusal }))

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
  const isKept = stores(keptText(state))
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
    return text === null ? startState() : restoredState(text)
  } catch {
    return startState()
  }
}
