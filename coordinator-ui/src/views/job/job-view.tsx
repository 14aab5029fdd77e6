/** One job: how it went, where, why there, what it made, and what one can do about it. */
import './job.css'
import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { summarisePrompt } from '@comfymesh/protocol/prompt-summary'
import { Alert, Badge, Button, Group, Loader, Progress, Text } from '@mantine/core'
import { IconRefresh, IconWand, IconX } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useLocation, useParams } from 'wouter'
import { type FileName, fileUrl } from '../../api/comfyui.ts'
import { cancelJobs } from '../../api/queue.ts'
import { PageHead } from '../../components/page-head.tsx'
import { Problem } from '../../components/problem.tsx'
import { Section } from '../../components/section.tsx'
import { draftOf, runAgain } from '../../state/again.ts'
import { draft } from '../../state/draft.ts'
import { ago } from '../../state/duration.ts'
import { useJob } from '../../state/job.ts'
import { statusWords } from '../../state/job-status.ts'
import { usePeerNames } from '../../state/peers.ts'
import { picturesOf } from '../../state/pictures.ts'
import { endingAttempt, failedWhere } from '../../state/plan-words.ts'
import { nodeTitle, progressOf } from '../../state/progress.ts'
import { settingsOf, tookText } from '../../state/settings-line.ts'
import { JobLog } from './job-log.tsx'
import { Paused } from './paused.tsx'
import { Stages } from './stages.tsx'

export default function JobView() {
  const { id = '' } = useParams<{ id: string }>()
  const { job, error } = useJob(id)
  if (job === undefined) {
    return (
      <div className="page">
        <PageHead title="Job" />
        {error ? (
          <Problem title="This job could not be read" error={error} />
        ) : (
          <Loader aria-label="Reading the job" />
        )}
      </div>
    )
  }
  return (
    <div className="page">
      <Head job={job} />
      {job.pause && <Paused job={job} pause={job.pause} />}
      {job.status === 'failed' && <Failure job={job} />}
      <div className="job-body">
        <Pictures job={job} />
        <Stages job={job} />
      </div>
      <JobLog job={job} />
    </div>
  )
}

function Head({ job }: { readonly job: JobState }) {
  const summary = summarisePrompt(job.request.prompt)
  const { label, color } = statusWords[job.status]
  return (
    <>
      <PageHead
        title={summary.text || `Job ${job.request.id.slice(0, 8)}`}
        subtitle={[ago(job.request.createdAtMs, Date.now()), tookText(job), ...settingsOf(summary)]
          .filter(Boolean)
          .join(' · ')}
      >
        <Badge size="lg" variant="light" color={color} tt="none">
          {label}
        </Badge>
        <Actions job={job} />
      </PageHead>
      {job.status === 'running' && (
        <div className="job-progress">
          <Text size="sm" mb={4} role="status">
            {progressOf(job).text}
          </Text>
          <Progress
            value={progressOf(job).share * 100}
            aria-label="Progress"
            transitionDuration={120}
          />
        </div>
      )}
    </>
  )
}

function Actions({ job }: { readonly job: JobState }) {
  const [, go] = useLocation()
  const cancel = useMutation({ mutationFn: () => cancelJobs([job.request.id]) })
  const again = useMutation({
    mutationFn: () => runAgain(job),
    onSuccess: ({ prompt_id }) => go(`/jobs/${prompt_id}`),
  })
  const failure = cancel.error ?? again.error
  return (
    <>
      {isFinished(job) ? (
        <Button
          leftSection={<IconRefresh size={16} />}
          loading={again.isPending}
          onClick={() => again.mutate()}
        >
          Run again
        </Button>
      ) : (
        <Button
          variant="default"
          leftSection={<IconX size={16} />}
          loading={cancel.isPending}
          onClick={() => cancel.mutate()}
        >
          Cancel
        </Button>
      )}
      <Button
        variant="default"
        leftSection={<IconWand size={16} />}
        onClick={() => {
          draft.set(draftOf(job, `Settings of job ${job.request.id.slice(0, 8)}`))
          go('/')
        }}
      >
        Use these settings
      </Button>
      {failure && (
        <Alert color="red" role="alert" w="100%">
          {failure.message}
        </Alert>
      )}
    </>
  )
}

/** What happened, to what, and what to do: the agent's errors say all three. */
function Failure({ job }: { readonly job: JobState }) {
  const nameOf = usePeerNames(job)
  const attempt = endingAttempt(job)
  const where = [
    ...(job.endNodeId === undefined ? [] : [`at “${nodeTitle(job, job.endNodeId)}”`]),
    ...(attempt === undefined ? [] : [failedWhere(attempt, nameOf)]),
  ].join(' ')
  return (
    <Alert color="red" mb="md" role="alert" title={`It failed ${where}`.trim()}>
      <Text size="sm" style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>
        {job.error?.message}
      </Text>
    </Alert>
  )
}

function Pictures({ job }: { readonly job: JobState }) {
  const pictures = picturesOf(job)
  if (pictures.length === 0) return null
  const { text } = summarisePrompt(job.request.prompt)
  return (
    <Section title={pictures.length === 1 ? 'Picture' : `${pictures.length} pictures`}>
      <Group gap="sm">
        {pictures.map(({ file }) => (
          <Picture key={`${file.subfolder}/${file.filename}`} file={file} alt={text} />
        ))}
      </Group>
    </Section>
  )
}

/** What was only shown is gone with the next start of the agent, and anybody may tidy a folder. */
function Picture({ file, alt }: { readonly file: FileName; readonly alt: string }) {
  const [isGone, setGone] = useState(false)
  if (isGone) {
    return (
      <Text size="sm" c="dimmed">
        {file.filename} is no longer there.
      </Text>
    )
  }
  return (
    <a href={fileUrl(file)} className="job-picture">
      <img
        src={fileUrl(file, true)}
        alt={alt || file.filename}
        loading="lazy"
        onError={() => setGone(true)}
      />
    </a>
  )
}
