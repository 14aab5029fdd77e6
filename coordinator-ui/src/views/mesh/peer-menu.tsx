/** What one can do with another machine: send it away. */
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { ActionIcon, Alert, Button, Group, Menu, Text } from '@mantine/core'
import { IconDots, IconTrash } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { removePeer } from '../../api/mesh.ts'
import { Dialog } from '../../components/dialog.tsx'

export function PeerMenu({ peer }: { readonly peer: MeshPeer }) {
  const [isAsking, setAsking] = useState(false)
  return (
    <>
      <Menu position="bottom-end" withinPortal={false}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`More about ${peer.name}`}>
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={14} />}
            onClick={() => setAsking(true)}
          >
            Remove from the mesh
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {isAsking && <ConfirmRemoval peer={peer} onClose={() => setAsking(false)} />}
    </>
  )
}

function ConfirmRemoval({
  peer,
  onClose,
}: {
  readonly peer: MeshPeer
  readonly onClose: () => void
}) {
  const queries = useQueryClient()
  const removal = useMutation({
    mutationFn: () => removePeer(peer.peerId),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['peers'] })
      onClose()
    },
  })
  return (
    <Dialog title={`Remove ${peer.name}?`} onClose={onClose}>
      <Text size="sm" mb="md">
        The mesh gets a new secret, which {peer.name} does not learn. The other machines follow by
        themselves; one that is away follows when it is back. Files stay where they are.
      </Text>
      {removal.error && (
        <Alert color="red" mb="md" role="alert">
          {removal.error.message}
        </Alert>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Keep
        </Button>
        <Button color="red" loading={removal.isPending} onClick={() => removal.mutate()}>
          Remove
        </Button>
      </Group>
    </Dialog>
  )
}
