/** Jobs that have ended, to search by words, by how they ended and by day. */
import type { JobStatus } from '@comfymesh/protocol/job'
import { Badge, CloseButton, Group, Loader, Paper, Select, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { fileUrl } from '../../api/comfyui.ts'
import { type JobSummary, listJobs } from '../../api/jobs.ts'
import { Problem } from '../../components/problem.tsx'
import { VirtualList } from '../../components/virtual-list.tsx'
import { endings } from '../../state/agent.ts'
import { ago } from '../../state/duration.ts'
import { statusWords } from '../../state/job-status.ts'
import { settingsOf, tookText } from '../../state/settings-line.ts'
import { useStore } from '../../state/store.ts'

const PAGE_SIZE = 100
const ROW_PIXELS = 84

const ended: readonly JobStatus[] = ['completed', 'failed', 'interrupted']

interface Asked {
  readonly search: string
  readonly status: JobStatus | null
  /** `2026-08-01` as the day field gives it; '' for any day. */
  readonly day: string
}

export function History() {
  const [asked, setAsked] = useState<Asked>({ search: '', status: null, day: '' })
  const [settled] = useDebouncedValue(asked, 250)
  const { jobs, error, isPending, loadMore } = useHistory(settled)
  const isAsked = settled.search.trim() !== '' || settled.status !== null || settled.day !== ''
  return (
    <>
      <Filters asked={asked} onChange={setAsked} />
      {error && <Problem title="The history could not be read" error={error} />}
      {isPending && <Loader aria-label="Reading the history" />}
      {!isPending && !error && jobs.length === 0 && (
        <Text c="dimmed" ta="center" py="xl">
          {isAsked ? 'No job has ended that is like that.' : 'No job has ended yet.'}
        </Text>
      )}
      <VirtualList
        label="Jobs that have ended"
        items={jobs}
        keyOf={({ id }) => id}
        estimatePixels={ROW_PIXELS}
        render={(job) => <Row job={job} />}
        onEnd={loadMore}
      />
    </>
  )
}

function useHistory({ search, status, day }: Asked) {
  const queries = useQueryClient()
  const count = useStore(endings)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a job that ended is the reason
  useEffect(() => void queries.invalidateQueries({ queryKey: ['history'] }), [count])
  const { data, error, isPending, hasNextPage, isFetching, fetchNextPage } = useInfiniteQuery({
    queryKey: ['history', search, status, day],
    queryFn: ({ pageParam, signal }) =>
      listJobs(
        {
          statuses: status === null ? ended : [status],
          search: search.trim(),
          ...spanOf(day),
          offset: pageParam,
          limit: PAGE_SIZE,
        },
        signal,
      ),
    initialPageParam: 0,
    getNextPageParam: ({ offset, jobs, hasMore }) => (hasMore ? offset + jobs.length : undefined),
  })
  const loadMore = () => {
    if (hasNextPage && !isFetching) void fetchNextPage()
  }
  return { jobs: (data?.pages ?? []).flatMap((page) => page.jobs), error, isPending, loadMore }
}

/** From midnight to midnight where the reader is, also when the clocks change. */
function spanOf(day: string): { sinceMs?: number; untilMs?: number } {
  const date = new Date(`${day}T00:00`)
  const sinceMs = date.getTime()
  if (Number.isNaN(sinceMs)) return {}
  return { sinceMs, untilMs: date.setDate(date.getDate() + 1) }
}

interface FiltersProps {
  readonly asked: Asked
  readonly onChange: (asked: Asked) => void
}

function Filters({ asked, onChange }: FiltersProps) {
  return (
    <Group mb="md" gap="sm">
      <TextInput
        aria-label="Search the history"
        placeholder="Search by prompt or model"
        leftSection={<IconSearch size={16} />}
        rightSection={
          asked.search !== '' && (
            <CloseButton aria-label="Clear" onClick={() => onChange({ ...asked, search: '' })} />
          )
        }
        value={asked.search}
        onChange={({ currentTarget }) => onChange({ ...asked, search: currentTarget.value })}
        w={{ base: '100%', xs: 300 }}
      />
      <Select
        aria-label="How it ended"
        placeholder="However it ended"
        clearable
        data={ended.map((value) => ({ value, label: statusWords[value].label }))}
        value={asked.status}
        onChange={(status) => onChange({ ...asked, status })}
        w={{ base: '100%', xs: 180 }}
      />
      <TextInput
        type="date"
        aria-label="Day"
        value={asked.day}
        onChange={({ currentTarget }) => onChange({ ...asked, day: currentTarget.value })}
        w={{ base: '100%', xs: 170 }}
      />
    </Group>
  )
}

function Row({ job }: { readonly job: JobSummary }) {
  const { label, color } = statusWords[job.status]
  const picture = job.files.find(({ type }) => type === 'output')
  const name = job.prompt.text || `Job ${job.id.slice(0, 8)}`
  return (
    <Paper withBorder p="xs" mb="xs">
      <Group wrap="nowrap" gap="sm">
        {picture && (
          <img className="thumbnail" src={fileUrl(picture, true)} alt="" loading="lazy" />
        )}
        <div style={{ minWidth: 0, flex: 1 }}>
          <Text lineClamp={2} fw={500}>
            <Link href={`/jobs/${job.id}`} className="quiet-link">
              {name}
            </Link>
          </Text>
          <Text size="sm" c={job.error ? 'red' : 'dimmed'} truncate>
            {job.error?.message ??
              [...settingsOf(job.prompt), tookText(job)].filter(Boolean).join(' · ')}
          </Text>
        </div>
        <div className="history-end">
          <Badge variant="light" color={color} tt="none">
            {label}
          </Badge>
          <Text size="xs" c="dimmed">
            {ago(job.createdAtMs, Date.now())}
          </Text>
        </div>
      </Group>
    </Paper>
  )
}
