/**
 * The graph editor: ComfyUI workflows drawn, changed, run and saved. What an edit is stands in
 * state/editor; here is what one sees of it and does with pointer and keys. Loaded on demand.
 */
import '@xyflow/react/dist/style.css'
import './editor.css'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Alert, Button, CloseButton, Group, Text } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { ReactFlowProvider } from '@xyflow/react'
import { useEffect, useMemo, useState } from 'react'
import { WithDefinitions } from '../../components/with-definitions.tsx'
import { defaultPrompt } from '../../state/default-prompt.ts'
import { editor, keepEditor, openDocument, setRefusal } from '../../state/editor/editor.ts'
import { UNNAMED } from '../../state/editor/editor-state.ts'
import { isEmpty, workflowOfPrompt } from '../../state/editor/from-prompt.ts'
import { useStore } from '../../state/store.ts'
import { Canvas } from './canvas.tsx'
import { EditorContext, type PickerRequest, useEditorContext } from './editor-context.ts'
import { Picker } from './picker.tsx'
import { RunPanel } from './run-panel.tsx'
import { SaveDialog } from './save-dialog.tsx'
import { Toolbar } from './toolbar.tsx'
import { type Files, useFiles } from './use-files.ts'
import { WayInside } from './way-inside.tsx'

/** Narrower than this a graph can be looked at, and hardly be edited. */
const PHONE = '(max-width: 760px)'

export default function EditorView() {
  useEffect(keepEditor, [])
  return <WithDefinitions>{(definitions) => <Editor definitions={definitions} />}</WithDefinitions>
}

function Editor({ definitions }: { readonly definitions: NodeDefinitions }) {
  const [picking, setPicking] = useState<PickerRequest>()
  const isReadOnly = useMediaQuery(PHONE, false, { getInitialValueInEffect: false })
  const context = useMemo(
    () => ({ definitions, isReadOnly, pick: setPicking }),
    [definitions, isReadOnly],
  )
  return (
    <EditorContext.Provider value={context}>
      <ReactFlowProvider>
        <Workbench />
        {picking && <Picker request={picking} onClose={() => setPicking(undefined)} />}
      </ReactFlowProvider>
    </EditorContext.Provider>
  )
}

function Workbench() {
  const files = useFiles()
  const [isSnapping, setSnapping] = useState(false)
  const { history, path, refusal } = useStore(editor)
  const { workflow } = history.present
  return (
    <div className="editor">
      <h1 className="visually-hidden">Editor</h1>
      <Toolbar files={files} isSnapping={isSnapping} onSnapping={setSnapping} />
      <Canvas key={path.join()} isSnapping={isSnapping} />
      <WayInside />
      {isEmpty(workflow) && <Start />}
      <RunPanel />
      <Problem text={files.problem} onClose={files.dismiss} />
      <Problem text={refusal} onClose={() => setRefusal(undefined)} />
      <NewerFile files={files} />
      <Dropping files={files} />
      {files.asking !== undefined && <SaveDialog key={files.asking.taken} files={files} />}
    </div>
  )
}

/** What can be done with nothing. */
function Start() {
  const { definitions, isReadOnly } = useEditorContext()
  const prompt = defaultPrompt(definitions)
  return (
    <div className="editor-start">
      <Text fw={600}>An empty workflow</Text>
      <Text size="sm" c="dimmed">
        {isReadOnly
          ? 'Open a workflow to look at it. Editing takes a larger screen.'
          : 'Double-click to add a node, or drop a workflow or a picture made by ComfyUI.'}
      </Text>
      {prompt && (
        <Button
          variant="default"
          onClick={() =>
            openDocument({ name: UNNAMED, workflow: workflowOfPrompt(prompt, definitions) })
          }
        >
          Begin with text to image
        </Button>
      )}
    </div>
  )
}

interface ProblemProps {
  readonly text: string | undefined
  readonly onClose: () => void
}

function Problem({ text, onClose }: ProblemProps) {
  if (text === undefined) return null
  return (
    <Alert color="red" role="alert" className="editor-file-problem">
      <Group wrap="nowrap" align="flex-start" justify="space-between">
        <Text size="sm">{text}</Text>
        <CloseButton aria-label="Close" onClick={onClose} />
      </Group>
    </Alert>
  )
}

/** Somebody else has saved it since, and there are changes here. */
function NewerFile({ files }: { readonly files: Files }) {
  const { newer } = files
  if (newer === undefined) return null
  return (
    <Alert color="yellow" role="status" className="editor-file-problem">
      <Text size="sm" mb="xs">
        {newer} was saved elsewhere since you opened it, and you have changed it here too.
      </Text>
      <Button size="compact-sm" variant="default" onClick={() => files.open(newer)}>
        Open what was saved
      </Button>
    </Alert>
  )
}

/** A file that is dropped, or pasted, is opened; undo brings back what was there. */
function Dropping({ files }: { readonly files: Files }) {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      setOver(true)
    }
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false)
    }
    const take = (event: Event, file: File | undefined) => {
      if (file === undefined) return
      event.preventDefault()
      files.open(file)
    }
    const drop = (event: DragEvent) => {
      setOver(false)
      take(event, event.dataTransfer?.files[0])
    }
    const paste = (event: ClipboardEvent) => take(event, event.clipboardData?.files[0])
    window.addEventListener('dragover', over)
    window.addEventListener('dragleave', leave)
    window.addEventListener('drop', drop)
    window.addEventListener('paste', paste)
    return () => {
      window.removeEventListener('dragover', over)
      window.removeEventListener('dragleave', leave)
      window.removeEventListener('drop', drop)
      window.removeEventListener('paste', paste)
    }
  })
  if (!isOver) return null
  return (
    <div className="drop">
      <Text size="lg" fw={600}>
        Drop a workflow, a prompt, or a picture made by ComfyUI
      </Text>
    </div>
  )
}
