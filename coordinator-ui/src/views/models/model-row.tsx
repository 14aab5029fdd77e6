/** One model: what it is, and which machines have which file of that name. */
import type { MeshModel, ModelHolder } from '@comfymesh/protocol/mesh-models'
import { Alert, Badge, Code, Group, Paper, Text, Tooltip } from '@mantine/core'
import { IconAlertTriangle, IconBolt, IconDeviceDesktop } from '@tabler/icons-react'
import { byteSize } from '../../state/byte-size.ts'
import { familyName, kindName } from '../../state/models.ts'

export function ModelRow({ model: { kind, name, files } }: { readonly model: MeshModel }) {
  const differs = files.length > 1
  return (
    <Paper withBorder p="sm" mb="xs" mx={1}>
      <Group gap="xs" mb={4}>
        <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
          {name}
        </Text>
        <Badge variant="light" color="gray" tt="none">
          {kindName(kind)}
        </Badge>
        {differs && (
          <Badge
            color="yellow"
            variant="light"
            tt="none"
            leftSection={<IconAlertTriangle size={12} />}
          >
            {files.length} different files
          </Badge>
        )}
      </Group>
      {differs && (
        <Text size="sm" c="dimmed" mb={4}>
          A job that names it gives another picture on another machine. Rename one of them.
        </Text>
      )}
      {files.map((file) => (
        <div key={file.id}>
          <Group justify="space-between" gap="xs">
            <Text size="sm" c="dimmed">
              {[familyName(file.family), byteSize(file.sizeBytes)].filter(Boolean).join(' · ')}
              {differs && (
                <>
                  {' · '}
                  <Code>{file.id.slice(0, 8)}</Code>
                </>
              )}
            </Text>
            <Group gap={6}>
              {file.holders.map((holder) => (
                <Holder key={holder.peerId} holder={holder} />
              ))}
            </Group>
          </Group>
          {file.problem && (
            <Alert color="yellow" py={6} px="sm" my={4} title="It cannot run">
              {file.problem}
            </Alert>
          )}
        </div>
      ))}
    </Paper>
  )
}

function Holder({ holder: { peerName, resident } }: { readonly holder: ModelHolder }) {
  const badge = (
    <Badge
      variant={resident ? 'light' : 'outline'}
      color={resident ? 'teal' : 'gray'}
      tt="none"
      leftSection={resident ? <IconBolt size={12} /> : <IconDeviceDesktop size={12} />}
    >
      {peerName}
      {resident && <span className="visually-hidden">, in memory</span>}
    </Badge>
  )
  return resident ? <Tooltip label={`In the memory of ${peerName}`}>{badge}</Tooltip> : badge
}
