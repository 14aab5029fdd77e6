/** Adding a machine: one line to paste there, and its card as soon as it has joined. */

import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Alert, Button, Code, Group, Loader, Stack, Text } from '@mantine/core'
import { IconCheck } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { makeInvite } from '../../api/mesh.ts'
import { Copy } from '../../components/copy.tsx'
import { Dialog } from '../../components/dialog.tsx'
import { PeerCard } from './peer-card.tsx'

export interface AddMachineProps {
  readonly peers: readonly MeshPeer[]
  readonly onClose: () => void
}

export function AddMachine({ peers, onClose }: AddMachineProps) {
  const [before] = useState(() => new Set(peers.map(({ peerId }) => peerId)))
  // A line for each time that this is opened, and none more while it is.
  const [openedAtMs] = useState(() => Date.now())
  const { data: invite, error } = useQuery({
    queryKey: ['invite', openedAtMs],
    queryFn: makeInvite,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  })
  const joined = peers.find(({ peerId }) => !before.has(peerId))
  return (
    <Dialog title="Add a machine" onClose={onClose}>
      {error && (
        <Alert color="red" role="alert" title="No invite could be made">
          {error.message}
        </Alert>
      )}
      {joined ? (
        <Stack>
          <Text>
            <IconCheck size={16} aria-hidden="true" /> {joined.name} has joined.
          </Text>
          <PeerCard peer={joined} />
          <Group justify="flex-end">
            <Button onClick={onClose}>Done</Button>
          </Group>
        </Stack>
      ) : (
        invite && (
          <Line command={`comfymesh join ${invite.line}`} expiresAtMs={invite.expiresAtMs} />
        )
      )}
    </Dialog>
  )
}

function Line({
  command,
  expiresAtMs,
}: {
  readonly command: string
  readonly expiresAtMs: number
}) {
  const until = new Date(expiresAtMs).toLocaleTimeString(undefined, { timeStyle: 'short' })
  return (
    <Stack>
      <Text size="sm">
        On the other machine, install comfymesh and paste this line into a terminal. In a clone of
        the repository, write <Code>npm run comfymesh -- join …</Code> instead.
      </Text>
      <Code block style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
        {command}
      </Code>
      <Group justify="space-between">
        <Group gap="xs">
          <Loader size="xs" aria-hidden="true" />
          <Text size="sm" c="dimmed" role="status">
            Waiting for it. One machine may come by this line, until {until}.
          </Text>
        </Group>
        <Copy text={command} />
      </Group>
    </Stack>
  )
}
