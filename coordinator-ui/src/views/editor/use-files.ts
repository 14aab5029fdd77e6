/** Workflows come and go: the user's folder, files of this computer, and the page Create. */

import { stringifyJson } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { useLocation } from 'wouter'
import { modifiedAtMsOf, readWorkflow, saveWorkflow } from '../../api/userdata.ts'
import { draft } from '../../state/draft.ts'
import { emptyWorkflow, openedWorkflow } from '../../state/editor/document.ts'
import {
  currentDocument,
  editor,
  endStep,
  markSaved,
  openDocument,
  refreshDocument,
} from '../../state/editor/editor.ts'
import {
  type Document,
  type FolderFile,
  isDirty,
  UNNAMED,
} from '../../state/editor/editor-state.ts'
import { workflowOfPrompt } from '../../state/editor/from-prompt.ts'
import { readDraft } from '../../state/read-draft.ts'
import { useStore } from '../../state/store.ts'
import { handover } from '../comfyui/handover.ts'
import { useEditorContext } from './editor-context.ts'
import { promptOf } from './use-run.ts'

/** A workflow of a file: as it was drawn, or else drawn anew from its prompt. */
async function readDocumentFile(file: File, definitions: NodeDefinitions): Promise<Document> {
  const { name = file.name, prompt, workflow } = await readDraft(file, definitions)
  return { name, workflow: workflow ?? workflowOfPrompt(prompt, definitions) }
}

/** A workflow of the user's folder, and when it was written. */
async function readFolder(
  name: string,
): Promise<{ readonly document: Document; readonly file: FolderFile }> {
  // Asked for first: what is written meanwhile counts as newer.
  const modifiedAtMs = (await modifiedAtMsOf(name)) ?? 0
  const workflow = openedWorkflow((await readWorkflow(name)) ?? null)
  return { document: { name, workflow }, file: { name, modifiedAtMs } }
}

export function useFiles() {
  const { definitions } = useEditorContext()
  const [, navigate] = useLocation()
  const [asking, setAsking] = useState<Asking>()

  const save = useMutation({
    mutationFn: async ({ name, overwrite, onSaved }: Saving) => {
      endStep()
      const document: Document = { ...currentDocument(), name }
      const modifiedAtMs = await saveWorkflow(name, document.workflow, { overwrite })
      if (modifiedAtMs === undefined) {
        setAsking({ taken: name, ...(onSaved && { onSaved }) })
        return
      }
      setAsking(undefined)
      markSaved(document, { name, modifiedAtMs })
      onSaved?.()
    },
  })
  const open = useMutation({
    mutationFn: async (from: string | File) => {
      if (from instanceof File) {
        return openDocument(await readDocumentFile(from, definitions), { isSaved: true })
      }
      const { document, file } = await readFolder(from)
      openDocument(document, { isSaved: true, file })
    },
  })
  const refresh = useMutation({
    mutationFn: async (name: string) => {
      const { document, file } = await readFolder(name)
      refreshDocument(document, file)
    },
  })
  const use = useMutation({
    mutationFn: async () => {
      const { name, workflow } = currentDocument()
      const prompt = promptOf(workflow, definitions)
      draft.set({ name, prompt, workflow, isSeedRandom: false })
      navigate('/')
    },
  })
  const newer = useNewerFile(refresh.mutate)
  /** What has a name in the folder already is written over; everything else is asked for. */
  const saveNow = (onSaved?: () => void) => {
    const { name } = currentDocument()
    const overwrite = editor.get().file?.name === name && !newer
    if (name === UNNAMED) setAsking(onSaved ? { onSaved } : {})
    else save.mutate({ name, overwrite, ...(onSaved && { onSaved }) })
  }
  const mutations = [save, open, refresh, use]
  const problem = mutations.find(({ error }) => error !== null)?.error?.message
  return {
    asking,
    problem,
    newer,
    isSaving: save.isPending,
    dismiss: () => {
      for (const one of mutations) one.reset()
    },
    startNew: () => openDocument({ name: UNNAMED, workflow: emptyWorkflow() }, { isSaved: true }),
    open: (from: string | File) => open.mutate(from),
    save: () => saveNow(),
    askForName: () => setAsking({}),
    saveAs: (name: string, overwrite: boolean) => {
      save.mutate({ name, overwrite, ...(asking?.onSaved && { onSaved: asking.onSaved }) })
    },
    stopAsking: () => setAsking(undefined),
    download: () => download(currentDocument()),
    useInCreate: () => use.mutate(),
    // Its list of workflows is the same folder.
    openInComfyui: () =>
      saveNow(() => {
        handover.set(currentDocument().name)
        navigate('/comfyui')
      }),
  }
}

/**
 * Looks, whenever this page is looked at again, whether somebody has saved the workflow since: in the
 * official frontend, say. What was not changed here is opened anew.
 * @returns the name of a newer file, where opening it would lose changes.
 */
function useNewerFile(refresh: (name: string) => void): string | undefined {
  const state = useStore(editor)
  const { file } = state
  const { data: modifiedAtMs } = useQuery({
    queryKey: ['workflow file', file],
    queryFn: async () => (await modifiedAtMsOf(file!.name)) ?? null,
    enabled: file !== undefined,
    staleTime: 0,
  })
  const isNewer = file !== undefined && (modifiedAtMs ?? 0) > file.modifiedAtMs
  const isOpened = isNewer && !isDirty(state)
  const name = file?.name
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each newer file
  useEffect(() => {
    if (isOpened && name !== undefined) refresh(name)
  }, [isOpened, name, modifiedAtMs])
  return isNewer && !isOpened ? name : undefined
}

/** A name is asked for. */
interface Asking {
  /** The one that another workflow has. */
  readonly taken?: string
  /** What is to be done once it is saved. */
  readonly onSaved?: () => void
}

interface Saving {
  readonly name: string
  readonly overwrite: boolean
  readonly onSaved?: () => void
}

export type Files = ReturnType<typeof useFiles>

function download({ name, workflow }: Document): void {
  const blob = new Blob([stringifyJson(workflow, 2)], { type: 'application/json' })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = `${name.split('/').at(-1)}.json`
  link.click()
  URL.revokeObjectURL(link.href)
}
