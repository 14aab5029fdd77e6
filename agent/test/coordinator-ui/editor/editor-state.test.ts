/** The state of the editor: where one is in the document, and what takes its place. */
import { stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import { copyNodes, pasteNodes } from '../../../../coordinator-ui/src/state/editor/clipboard.ts'
import { emptyWorkflow } from '../../../../coordinator-ui/src/state/editor/document.ts'
import { setTitle } from '../../../../coordinator-ui/src/state/editor/edit-nodes.ts'
import {
  type EditorState,
  edited,
  isDirty,
  keptText,
  lookedInto,
  type Opening,
  openGraph,
  refreshed,
  restoredState,
  startState,
  withDocument,
  withHistory,
} from '../../../../coordinator-ui/src/state/editor/editor-state.ts'
import { redone, undone } from '../../../../coordinator-ui/src/state/editor/history.ts'
import { drawing } from './workflows.ts'

const workflow = drawing('subgraph.json')
const start = (opening: Opening = { isSaved: true }): EditorState =>
  withDocument(startState(), { name: 'shared', workflow }, opening)
const undo = (state: EditorState) => withHistory(state, undone(state.history))
const redo = (state: EditorState) => withHistory(state, redone(state.history))
const titled = (state: EditorState) => edited(state, (graph) => setTitle(graph, '1', 'another'))

t.test('a step that takes the open subgraph away leads out of it', async (t) => {
  const pasted = pasteNodes(workflow, copyNodes(workflow, new Set(['10'])))
  const [id] = [...pasted.ids]
  const inside = lookedInto(
    edited(start(), () => pasted.workflow),
    [id!],
  )
  t.strictSame(inside.path, [id])
  t.not(openGraph(inside), pasted.workflow)
  const outside = undo(inside)
  t.strictSame(outside.path, [])
  t.equal(openGraph(outside), workflow)
  t.strictSame(lookedInto(outside, ['10']).path, ['10'], 'others are looked into as before')
  t.strictSame(redo(outside).path, [])
  t.strictSame(lookedInto(inside, [id!, 'nobody']).path, [id])
})

t.test('so does the way back to the workflow before', async (t) => {
  const empty = withDocument(startState(), { name: 'empty', workflow: emptyWorkflow() })
  const inside = lookedInto(withDocument(empty, { name: 'shared', workflow }), ['10'])
  t.strictSame(inside.path, ['10'])
  const back = undo(inside)
  t.equal(back.history.present.name, 'empty')
  t.strictSame(back.path, [])
})

t.test('what was saved elsewhere takes the place only of what was not changed', async (t) => {
  const file = { name: 'shared', modifiedAtMs: 1 }
  const newer = { ...file, modifiedAtMs: 2 }
  const document = { name: 'shared', workflow: emptyWorkflow() }
  const opened = start({ isSaved: true, file })
  const fresh = refreshed(opened, document, newer)
  t.equal(fresh.history.present, document)
  t.equal(fresh.file, newer)
  t.notOk(isDirty(fresh))
  const changed = titled(opened)
  t.equal(refreshed(changed, document, newer), changed)
  t.equal(refreshed(undo(changed), document, newer).file, newer)
  const another = start({ isSaved: true, file: { ...file, name: 'another' } })
  t.equal(refreshed(another, document, newer), another)
})

t.test('why an edit was refused is told until the next one', async (t) => {
  const refused = { ...start(), refusal: 'no' }
  t.equal(edited(refused, (graph) => graph).refusal, 'no')
  t.equal(titled(refused).refusal, undefined)
})

t.test('what was kept is there again, and what is no file is not', async (t) => {
  const file = { name: 'shared', modifiedAtMs: 1 }
  const opened = start({ isSaved: true, file })
  const again = restoredState(keptText(opened))
  t.strictSame(again.history.present, opened.history.present)
  t.strictSame(again.file, file)
  t.notOk(isDirty(again))
  t.ok(isDirty(restoredState(keptText(titled(opened)))))
  for (const wrong of [{ name: 'shared' }, { name: 7, modifiedAtMs: 1 }, 'shared', [], null]) {
    const kept = stringifyJson({ name: 'shared', workflow, file: wrong, isDirty: false })
    t.equal(restoredState(kept).file, undefined)
  }
  t.throws(() => restoredState('{"name":'))
  t.throws(() => restoredState('{"name":"shared","workflow":7}'))
})
