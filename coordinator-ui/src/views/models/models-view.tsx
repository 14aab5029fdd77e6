/** All models of the mesh: what they are, which machines have them, and where names deceive. */
import type { MeshModel, MeshModels } from '@comfymesh/protocol/mesh-models'
import { Alert, CloseButton, Group, Loader, Select, Switch, Text, TextInput } from '@mantine/core'
import { IconAlertTriangle, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { readModels } from '../../api/models.ts'
import { PageHead } from '../../components/page-head.tsx'
import { Problem } from '../../components/problem.tsx'
import { VirtualList } from '../../components/virtual-list.tsx'
import { filterModels, kindName, type ModelFilter } from '../../state/models.ts'
import { ModelRow } from './model-row.tsx'

const REFRESH_MS = 5000
/** Of a row before it is measured. */
const ROW_PIXELS = 76

export default function ModelsView() {
  const [filter, setFilter] = useState<ModelFilter>({ search: '', kind: null, differing: false })
  const { data, error, refetch } = useQuery({
    queryKey: ['models'],
    queryFn: ({ signal }) => readModels(signal),
    refetchInterval: REFRESH_MS,
  })
  if (data === undefined) {
    return (
      <div className="page">
        <PageHead title="Models" />
        {error ? (
          <Problem title="The models could not be read" error={error} onRetry={refetch} />
        ) : (
          <Loader aria-label="Reading the models" />
        )}
      </div>
    )
  }
  const shown = filterModels(data.models, filter)
  return (
    <div className="page">
      <PageHead title="Models" subtitle={summary(data)} />
      <Filters models={data.models} filter={filter} onChange={setFilter} />
      <Unknown unknown={data.unknown} />
      {shown.length === 0 ? (
        <Text c="dimmed" ta="center" py={64}>
          {data.models.length === 0
            ? 'No machine of the mesh has a model. Put .safetensors files into its models folder.'
            : 'No model is like that.'}
        </Text>
      ) : (
        <VirtualList
          label="Models"
          items={shown}
          keyOf={({ kind, name }) => `${kind}/${name}`}
          estimatePixels={ROW_PIXELS}
          render={(model) => <ModelRow model={model} />}
        />
      )}
    </div>
  )
}

function summary({ models }: MeshModels): string {
  const files = models.flatMap((model) => model.files)
  const resident = files.filter(({ holders }) => holders.some((holder) => holder.resident)).length
  const inMemory = resident === 0 ? 'none in memory' : `${resident} in memory`
  return `${models.length === 1 ? 'One model' : `${models.length} models`}, ${inMemory}`
}

interface FiltersProps {
  readonly models: readonly MeshModel[]
  readonly filter: ModelFilter
  readonly onChange: (filter: ModelFilter) => void
}

function Filters({ models, filter, onChange }: FiltersProps) {
  const kinds = [...new Set(models.map(({ kind }) => kind))]
  const differing = models.filter(({ files }) => files.length > 1).length
  return (
    <Group mb="md" gap="sm">
      <TextInput
        aria-label="Search the models"
        placeholder="Search by name, family or machine"
        leftSection={<IconSearch size={16} />}
        rightSection={
          filter.search !== '' && (
            <CloseButton aria-label="Clear" onClick={() => onChange({ ...filter, search: '' })} />
          )
        }
        value={filter.search}
        onChange={({ currentTarget }) => onChange({ ...filter, search: currentTarget.value })}
        w={{ base: '100%', xs: 300 }}
      />
      <Select
        aria-label="Kind"
        placeholder="All kinds"
        clearable
        data={kinds.map((kind) => ({ value: kind, label: kindName(kind) }))}
        value={filter.kind}
        onChange={(kind) => onChange({ ...filter, kind })}
        w={{ base: '100%', xs: 200 }}
      />
      {differing > 0 && (
        <Switch
          label={`Only names with different files (${differing})`}
          checked={filter.differing}
          onChange={({ currentTarget }) =>
            onChange({ ...filter, differing: currentTarget.checked })
          }
        />
      )}
    </Group>
  )
}

function Unknown({ unknown }: Pick<MeshModels, 'unknown'>) {
  if (unknown.length === 0) return null
  return (
    <Alert
      color="yellow"
      mb="md"
      icon={<IconAlertTriangle size={18} />}
      title="The list is not complete"
    >
      {unknown.map(({ peerName, reason }) => (
        <div key={peerName}>
          The models of {peerName} are not in it: {reason}
        </div>
      ))}
    </Alert>
  )
}
