/** Takes a file that is dropped anywhere on the page, or pasted: a prompt, a workflow, a picture that carries one. */

import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Alert, CloseButton, Group, Text } from '@mantine/core'
import { useEffect, useState } from 'react'
import { draft } from '../../state/draft.ts'
import { readDraft } from '../../state/read-draft.ts'

export function DropTarget({ definitions }: { readonly definitions: NodeDefinitions }) {
  const [isOver, setOver] = useState(false)
  const [message, setMessage] = useState<string>()

  useEffect(() => {
    const take = async (file: File | undefined) => {
      setMessage(undefined)
      if (file === undefined) return
      try {
        const { warnings, ...read } = await readDraft(file, definitions)
        draft.set(read)
        if (warnings.length > 0) setMessage(warnings.join(' '))
      } catch (error) {
        setMessage(`${file.name}: ${(error as Error).message}`)
      }
    }
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return
      event.preventDefault()
      setOver(true)
    }
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false)
    }
    const drop = (event: DragEvent) => {
      event.preventDefault()
      setOver(false)
      void take(event.dataTransfer?.files[0])
    }
    const paste = (event: ClipboardEvent) => void take(event.clipboardData?.files[0])
    const listeners = { dragover: over, dragleave: leave, drop, paste } as const
    for (const [name, listener] of Object.entries(listeners)) {
      window.addEventListener(name, listener as EventListener)
    }
    return () => {
      for (const [name, listener] of Object.entries(listeners)) {
        window.removeEventListener(name, listener as EventListener)
      }
    }
  }, [definitions])

  return (
    <>
      {isOver && (
        <div className="drop">
          <Text size="lg" fw={600}>
            Drop a workflow, a prompt, or a picture made by ComfyUI
          </Text>
        </div>
      )}
      {message && (
        <Alert
          pos="fixed"
          bottom={16}
          right={16}
          maw={420}
          color="yellow"
          variant="filled"
          role="alert"
          style={{ zIndex: 200 }}
        >
          <Group wrap="nowrap" align="flex-start">
            <Text size="sm">{message}</Text>
            <CloseButton aria-label="Close" onClick={() => setMessage(undefined)} />
          </Group>
        </Alert>
      )}
    </>
  )
}
