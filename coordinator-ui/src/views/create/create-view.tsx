/** From words to a picture: the form on one side, what becomes of it on the other. */
import { Alert, Loader } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { nodeDefinitions } from '../../api/comfyui.ts'
import { defaultPrompt } from '../../state/default-prompt.ts'
import { draft } from '../../state/draft.ts'
import { useStore } from '../../state/store.ts'
import { DraftForm } from './draft-form.tsx'
import { DropTarget } from './drop-target.tsx'
import { Stage } from './stage.tsx'

export function CreateView() {
  const current = useStore(draft)
  const [shownJob, setShownJob] = useState<string>()
  const { data: definitions, error } = useQuery({
    queryKey: ['node definitions'],
    queryFn: ({ signal }) => nodeDefinitions(signal),
    staleTime: 60_000,
  })

  useEffect(() => {
    if (definitions === undefined || draft.get() !== undefined) return
    const prompt = defaultPrompt(definitions)
    if (prompt) draft.set({ prompt, isSeedRandom: true })
  }, [definitions])

  if (error !== null) {
    return (
      <div className="page">
        <Alert color="red" title="The nodes could not be read">
          {error.message}
        </Alert>
      </div>
    )
  }
  if (definitions === undefined) {
    return (
      <div className="page">
        <Loader aria-label="Reading the nodes" />
      </div>
    )
  }
  if (current === undefined) return <NoModel />
  return (
    <div className="create">
      <h1 className="visually-hidden">Create</h1>
      <DraftForm draft={current} definitions={definitions} onSubmitted={setShownJob} />
      <Stage shownJob={shownJob} onShow={setShownJob} draft={current} definitions={definitions} />
      <DropTarget definitions={definitions} />
    </div>
  )
}

function NoModel() {
  return (
    <div className="page">
      <Alert title="No model yet">
        Put a Stable Diffusion 1.x checkpoint (.safetensors) into the agent's models folder, or
        start it with --models and the folder of your ComfyUI; then reload this page.
      </Alert>
    </div>
  )
}
