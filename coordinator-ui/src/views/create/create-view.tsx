/** From words to a picture: the form on one side, what becomes of it on the other. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Alert } from '@mantine/core'
import { useEffect, useState } from 'react'
import { WithDefinitions } from '../../components/with-definitions.tsx'
import { defaultPrompt } from '../../state/default-prompt.ts'
import { draft } from '../../state/draft.ts'
import { useStore } from '../../state/store.ts'
import { DraftForm } from './draft-form.tsx'
import { DropTarget } from './drop-target.tsx'
import { Stage } from './stage.tsx'

export function CreateView() {
  return <WithDefinitions>{(definitions) => <Create definitions={definitions} />}</WithDefinitions>
}

function Create({ definitions }: { readonly definitions: NodeDefinitions }) {
  const current = useStore(draft)
  const [shownJob, setShownJob] = useState<string>()

  useEffect(() => {
    if (draft.get() !== undefined) return
    const prompt = defaultPrompt(definitions)
    if (prompt) draft.set({ prompt, isSeedRandom: true })
  }, [definitions])

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
