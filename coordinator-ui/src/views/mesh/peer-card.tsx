/** One machine: how it is, what it has, what it does. */

import type { Device } from '@comfymesh/protocol/advertisement'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import {
  ActionIcon,
  Alert,
  Badge,
  Button,
  Group,
  Menu,
  Paper,
  Progress,
  Stack,
  Text,
} from '@mantine/core'
import { IconDots, IconTrash } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { removePeer } from '../../api/mesh.ts'
import { Dialog } from '../../components/dialog.tsx'
import { byteSize } from '../../state/byte-size.ts'
import { ago } from '../../state/duration.ts'

const states = {
  self: { label: 'This machine', color: 'indigo' },
  connected: { label: 'Connected', color: 'teal' },
  away: { label: 'Away', color: 'gray' },
} as const

export function PeerCard({ peer }: { readonly peer: MeshPeer }) {
  const { label, color } = states[peer.state]
  const { advertisement } = peer
  return (
    <Paper withBorder p="md" component="section" aria-label={peer.name}>
      <Group justify="space-between" wrap="nowrap" mb="xs">
        <Text fw={600} truncate>
          {peer.name}
        </Text>
        <Group gap={4} wrap="nowrap">
          <Badge color={color} variant="dot">
            {label}
          </Badge>
          {peer.state !== 'self' && <PeerMenu peer={peer} />}
        </Group>
      </Group>
      <Stack gap="sm">
        {(advertisement?.devices ?? []).map((device) => (
          <DeviceLine key={device.name} device={device} />
        ))}
        {advertisement && (
          <Text size="sm">
            {advertisement.queue.running + advertisement.queue.waiting === 0
              ? 'Idle'
              : `${advertisement.queue.running} running, ${advertisement.queue.waiting} waiting`}
            {advertisement.residentModels.length > 0 &&
              ` · ${advertisement.residentModels.length} models in memory`}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {factsOf(peer).join(' · ')}
        </Text>
      </Stack>
    </Paper>
  )
}

function factsOf({ advertisement, host, state, lastSeenAtMs }: MeshPeer): string[] {
  return [
    ...(host === undefined ? [] : [host]),
    ...(advertisement === undefined ? [] : [`comfymesh ${advertisement.version}`]),
    ...(state === 'away'
      ? [lastSeenAtMs === undefined ? 'never met' : `last seen ${ago(lastSeenAtMs, Date.now())}`]
      : []),
  ]
}

/** How much of a device's memory is taken. */
function DeviceLine({
  device: { name, kind, totalBytes, freeBytes },
}: {
  readonly device: Device
}) {
  const used = freeBytes === undefined ? undefined : totalBytes - freeBytes
  return (
    <div>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text size="sm" truncate>
          {name}
        </Text>
        <Text size="sm" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
          {used === undefined ? '' : `${byteSize(used)} of `}
          {byteSize(totalBytes)}
          {kind === 'gpu' ? ' VRAM' : ''}
        </Text>
      </Group>
      {used !== undefined && (
        <Progress
          mt={4}
          size="sm"
          value={(used / totalBytes) * 100}
          aria-label={`Memory of ${name} in use`}
        />
      )}
    </div>
  )
}

function PeerMenu({ peer }: { readonly peer: MeshPeer }) {
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
