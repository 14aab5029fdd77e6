/** The machines of the mesh, and how one more comes in. */
import { Alert, Button, Group, SimpleGrid, Text, Title } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Refused } from '../../api/http.ts'
import { readPeers } from '../../api/mesh.ts'
import { AddMachine } from './add-machine.tsx'
import { PeerCard } from './peer-card.tsx'

const REFRESH_MS = 2000

export default function MeshView() {
  const [isAdding, setAdding] = useState(false)
  const { data: mesh, error } = useQuery({
    queryKey: ['peers'],
    queryFn: ({ signal }) => readPeers(signal),
    refetchInterval: REFRESH_MS,
    // An agent without a mesh says so; asking again changes nothing.
    retry: (count, failure) => count < 1 && !(failure instanceof Refused),
  })

  if (error !== null) {
    return (
      <div className="page">
        <Alert color="red" title="There is no mesh to show">
          {error.message}
        </Alert>
      </div>
    )
  }
  if (mesh === undefined) return <div className="page" />
  const connected = mesh.peers.filter(({ state }) => state !== 'away').length
  return (
    <div className="page">
      <Group justify="space-between" mb="md">
        <div>
          <Title order={1} size="h3">
            Mesh
          </Title>
          <Text size="sm" c="dimmed">
            {mesh.peers.length === 1
              ? 'Only this machine so far'
              : `${mesh.peers.length} machines, ${connected} connected`}
          </Text>
        </div>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          Add a machine
        </Button>
      </Group>
      {mesh.problem && (
        <Alert color="red" mb="md" role="alert" title="This machine is not in its mesh">
          {mesh.problem.message}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
        {mesh.peers.map((peer) => (
          <PeerCard key={peer.peerId} peer={peer} />
        ))}
      </SimpleGrid>
      {isAdding && <AddMachine peers={mesh.peers} onClose={() => setAdding(false)} />}
    </div>
  )
}
