/** What runs and what waits, and everything one may do about it. */

import { isFinished } from '@comfymesh/protocol/job'
import { Alert, Button, Stack, Text, Title } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay, IconTrash } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'wouter'
import { clearQueue, pauseQueue, readQueue, resumeQueue } from '../../api/queue.ts'
import { PageHead } from '../../components/page-head.tsx'
import { Problem } from '../../components/problem.tsx'
import { isQueuePaused, jobs } from '../../state/agent.ts'
import { useStore } from '../../state/store.ts'
import { History } from './history.tsx'
import { JobRow } from './job-row.tsx'

export default function QueueView() {
  const queries = useQueryClient()
  const live = useStore(jobs)
  const isPaused = useStore(isQueuePaused)
  const {
    data: queue,
    error,
    refetch,
  } = useQuery({
    queryKey: ['queue'],
    queryFn: ({ signal }) => readQueue(signal),
    refetchInterval: 5000,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: ['queue'] })
  const unfinished = [...live.values()]
    .filter((job) => !isFinished(job))
    .map(({ request, status }) => `${request.id} ${request.number} ${status}`)
    .join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: any change of these is the reason
  useEffect(() => void refresh(), [unfinished, isPaused])
  const act = useMutation({
    mutationFn: (action: () => Promise<unknown>) => action(),
    onSettled: refresh,
  })

  if (queue === undefined) {
    return (
      <div className="page">
        <PageHead title="Queue" />
        {error && <Problem title="The queue could not be read" error={error} onRetry={refetch} />}
      </div>
    )
  }
  const waiting = queue.jobs.filter(({ status }) => status === 'queued').map(({ id }) => id)
  return (
    <div className="page">
      <PageHead
        title="Queue"
        subtitle={queue.summary ?? `${queue.queued} waiting, ${queue.running} running`}
      >
        <Button
          variant={queue.paused ? 'filled' : 'default'}
          leftSection={queue.paused ? <IconPlayerPlay size={16} /> : <IconPlayerPause size={16} />}
          onClick={() => act.mutate(queue.paused ? resumeQueue : pauseQueue)}
        >
          {queue.paused ? 'Resume' : 'Pause'}
        </Button>
        <Button
          variant="default"
          leftSection={<IconTrash size={16} />}
          disabled={waiting.length === 0}
          onClick={() => act.mutate(clearQueue)}
        >
          Clear
        </Button>
      </PageHead>
      {act.error && (
        <Alert color="red" mb="md" role="alert">
          {act.error.message}
        </Alert>
      )}
      {queue.paused && (
        <Alert mb="md" color="yellow" title="The queue is paused">
          What runs will end; nothing else starts until you resume.
        </Alert>
      )}
      {queue.jobs.length === 0 ? (
        <Empty />
      ) : (
        <Stack gap="xs" component="ol" p={0} m={0} style={{ listStyle: 'none' }}>
          {queue.jobs.map((job) => (
            <JobRow
              key={job.id}
              queued={job}
              state={live.get(job.id)}
              waiting={waiting}
              act={act.mutate}
            />
          ))}
        </Stack>
      )}
      <Title order={2} size="h4" mt="xl" mb="md">
        History
      </Title>
      <History />
    </div>
  )
}

function Empty() {
  return (
    <Text c="dimmed" ta="center" py="xl">
      Nothing runs and nothing waits. <Link href="/">Create something</Link>
    </Text>
  )
}
