/** From the form to the drawing. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Alert, Button } from '@mantine/core'
import { IconVectorBezier2 } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useLocation } from 'wouter'
import type { Draft } from '../../state/draft.ts'

export interface EditButtonProps {
  readonly draft: Draft
  readonly definitions: NodeDefinitions
}

export function EditButton({ draft, definitions }: EditButtonProps) {
  const [, navigate] = useLocation()
  const open = useMutation({
    mutationFn: async () => {
      // The editor is large, and loaded by those who edit.
      const { openDraft } = await import('../../state/editor/open-draft.ts')
      openDraft(draft, definitions)
      navigate('/editor')
    },
  })
  return (
    <>
      <Button
        variant="subtle"
        size="compact-sm"
        loading={open.isPending}
        leftSection={<IconVectorBezier2 size={14} />}
        onClick={() => open.mutate()}
      >
        Open in the editor
      </Button>
      {open.error && (
        <Alert color="red" role="alert" mt="xs">
          {open.error.message}
        </Alert>
      )}
    </>
  )
}
