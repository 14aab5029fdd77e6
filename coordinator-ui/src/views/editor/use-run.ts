/** Runs the workflow: it becomes a prompt, and the pictures carry both. */
import { type Conversion, convertWorkflow } from '@comfymesh/protocol/convert/convert-workflow'
import type { JsonObject } from '@comfymesh/protocol/json'
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import { useMutation } from '@tanstack/react-query'
import { useEffect } from 'react'
import { submitPrompt } from '../../api/comfyui.ts'
import { clientId } from '../../state/agent.ts'
import { placement } from '../../state/chosen-placement.ts'
import { afterRun } from '../../state/editor/edit-widgets.ts'
import { amend, currentDocument, endStep, setProblems, setRun } from '../../state/editor/editor.ts'
import { explained } from '../../state/editor/run-state.ts'
import { planOptionsFor } from '../../state/placement.ts'
import { refusalProblems } from '../../state/problems.ts'
import { useEditorContext } from './editor-context.ts'

/** The prompt as ComfyUI's frontend would send it. @throws MeshError saying what is wrong with it. */
export const promptOf = (workflow: JsonObject, definitions: NodeDefinitions): Prompt =>
  converted(workflow, definitions).prompt as Prompt

function converted(workflow: JsonObject, definitions: NodeDefinitions): Conversion {
  return convertWorkflow(workflow, definitions, { now: new Date(), random: Math.random })
}

export function useRunWorkflow() {
  const { definitions } = useEditorContext()
  const run = useMutation({
    mutationFn: async () => {
      endStep()
      const { workflow } = currentDocument()
      const { prompt, warnings } = converted(workflow, definitions)
      try {
        return await submitPrompt(prompt as Prompt, clientId, {
          extra_pnginfo: { workflow },
          ...planOptionsFor(placement.get(), prompt as Prompt, definitions),
        })
      } catch (error) {
        const problems = refusalProblems(error as Error, prompt as Prompt, definitions)
        setProblems(explained(problems, warnings))
        return undefined
      }
    },
    onSuccess: (submitted) => {
      if (submitted === undefined) return
      setRun(submitted.prompt_id)
      // As in ComfyUI: the picture has the seed that was shown, and the next one another.
      amend((workflow) => afterRun(workflow, definitions, Math.random))
    },
    // It is no prompt at all, such as links that go in a circle.
    onError: (error) => setProblems({ nodes: [], general: [error.message] }),
  })
  const { mutate } = run
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      // The canvas would take it for a choice of the node.
      event.stopPropagation()
      // What is being typed counts.
      if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur()
      mutate()
    }
    window.addEventListener('keydown', press, true)
    return () => window.removeEventListener('keydown', press, true)
  }, [mutate])
  return run
}
