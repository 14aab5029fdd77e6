/** Under which name a workflow is saved, and whether it may take the place of another. */
import { Alert, Button, Group, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { Dialog } from '../../components/dialog.tsx'
import { currentDocument } from '../../state/editor/editor.ts'
import { UNNAMED } from '../../state/editor/editor-state.ts'
import type { Files } from './use-files.ts'

/** What no operating system takes as a file's name. */
const FORBIDDEN = /[<>:"\\|?*]|^\/|\/$|\.\./

export function SaveDialog({ files }: { readonly files: Files }) {
  const { asking } = files
  const taken = asking?.taken
  const { name: current } = currentDocument()
  const [name, setName] = useState(taken ?? (current === UNNAMED ? '' : current))
  const trimmed = name.trim()
  const isWrong = FORBIDDEN.test(trimmed)
  const isTaken = taken === trimmed
  return (
    <Dialog title="Save the workflow" onClose={files.stopAsking}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (trimmed !== '' && !isWrong) files.saveAs(trimmed, isTaken)
        }}
      >
        <Stack>
          <TextInput
            label="Name"
            description="It appears in ComfyUI's list of workflows too. A slash makes a folder."
            data-autofocus
            value={name}
            error={isWrong && 'A name cannot have these characters: < > : " \\ | ? *'}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          {isTaken && (
            <Alert color="yellow" role="alert">
              There is a workflow of that name. Save again to overwrite it, or choose another name.
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={files.stopAsking}>
              Cancel
            </Button>
            <Button type="submit" loading={files.isSaving} color={isTaken ? 'red' : 'indigo'}>
              {isTaken ? 'Overwrite' : 'Save'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}
