/** Runs the workflow: it becomes a prompt, and the pictures carry both. */
import { convertWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { useMutation } from '@tanstack/react-query'
import { useEffect } from 'react'
import { submitPrompt } from '../../api/comfyui.ts'
import { Refused } from '../../api/http.ts'
import { clientId } from '../../state/agent.ts'
import { afterRun } from '../../state/editor/edit-widgets.ts'
import { amend, currentDocument, endStep, setProblems, setRun } from '../../state/editor/editor.ts'
import { refusalProblems } from '../../state/editor/run-state.ts'
import { useEditorContext } from './editor-context.ts'

/** The prompt as ComfyUI's frontend would send it. @throws MeshError saying what is wrong with it. */
export function promptOf(workflow: JsonObject, definitions: NodeDefinitions): Prompt {
  const options = { now: new Date(), random: Math.random }
  return convertWorkflow(workflow, definitions, options).prompt as Prompt
}

export function useRunWorkflow() {
  const { definitions } = useEditorContext()
  const run = useMutation({
    mutationFn: async () => {
      endStep()
      const { workflow } = currentDocument()
      return submitPrompt(promptOf(workflow, definitions), clientId, workflow)
    },
    onSuccess: ({ prompt_id }) => {
      setRun(prompt_id)
      // As in ComfyUI: the picture has the seed that was shown, and the next one another.
      amend((workflow) => afterRun(workflow, definitions, Math.random))
    },
    onError: (error) => {
      setProblems(refusalProblems(error.message, error instanceof Refused ? error.body : undefined))
    },
  })
  const { mutate } = run
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      // What is being typed counts.
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur()
      mutate()
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [mutate])
  return run
}
