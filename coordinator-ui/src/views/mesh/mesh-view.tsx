/** The machines of the mesh: how they are, what moves between them, and how one more comes in. */
import './mesh.css'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Alert, Button, SimpleGrid } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useHealth } from '../../api/health.ts'
import { PageHead } from '../../components/page-head.tsx'
import { Problem } from '../../components/problem.tsx'
import { usePeers } from '../../state/peers.ts'
import { AddMachine } from './add-machine.tsx'
import { PeerCard } from './peer-card.tsx'
import { TestButton, TestResults } from './test-mesh.tsx'
import { Topology } from './topology.tsx'

export default function MeshView() {
  const [isAdding, setAdding] = useState(false)
  const isAlone = useHealth()?.mesh === false
  const { data: mesh, error, refetch } = usePeers()
  if (mesh === undefined) {
    return (
      <div className="page">
        <PageHead title="Mesh" />
        {isAlone && (
          <Alert title="This agent takes part in no mesh">
            Its settings say so. Start it without --mesh off, and other machines can join it here.
          </Alert>
        )}
        {error && <Problem title="There is no mesh to show" error={error} onRetry={refetch} />}
      </div>
    )
  }
  const { peers, problem } = mesh
  const connected = peers.filter(({ state }) => state !== 'away').length
  return (
    <div className="page">
      <PageHead
        title="Mesh"
        subtitle={
          peers.length === 1
            ? 'Only this machine so far'
            : `${peers.length} machines, ${connected} connected`
        }
      >
        <TestButton peers={peers} />
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          Add a machine
        </Button>
      </PageHead>
      {error && <Problem title="What follows is not from now" error={error} />}
      {problem && (
        <Alert color="red" mb="md" role="alert" title="This machine is not in its mesh">
          {problem.message}
        </Alert>
      )}
      <Topology peers={peers} />
      <TestResults peers={peers} />
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} style={{ alignItems: 'start' }}>
        {byPresence(peers).map((peer) => (
          <PeerCard key={peer.peerId} peer={peer} />
        ))}
      </SimpleGrid>
      {isAdding && <AddMachine peers={peers} onClose={() => setAdding(false)} />}
    </div>
  )
}

/** Who is away comes last. */
const byPresence = (peers: readonly MeshPeer[]): MeshPeer[] =>
  peers.toSorted((one, other) => Number(one.state === 'away') - Number(other.state === 'away'))
