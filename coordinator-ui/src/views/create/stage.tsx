/** The picture: as it comes into being, when it is done, and those before it. */

import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { summarisePrompt } from '@comfymesh/protocol/prompt-summary'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import {
  ActionIcon,
  Alert,
  Button,
  Group,
  Progress,
  SegmentedControl,
  Text,
  Tooltip,
} from '@mantine/core'
import { IconDownload, IconPhoto, IconTimeline, IconX } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { Link } from 'wouter'
import { fileUrl } from '../../api/comfyui.ts'
import { cancelJobs } from '../../api/queue.ts'
import { jobs, preview } from '../../state/agent.ts'
import type { Draft } from '../../state/draft.ts'
import { isMeshTest } from '../../state/mesh-test.ts'
import { type MadePicture, picturesOf } from '../../state/pictures.ts'
import { progressOf } from '../../state/progress.ts'
import { settingsOf, tookText } from '../../state/settings-line.ts'
import { useStore } from '../../state/store.ts'

export interface StageProps {
  readonly shownJob: string | undefined
  readonly onShow: (jobId: string) => void
  readonly draft: Draft
  readonly definitions: NodeDefinitions
}

const GraphView = lazy(() => import('../graph/graph-view.tsx'))

export function Stage({ shownJob, onShow, draft, definitions }: StageProps) {
  const [side, setSide] = useState('picture')
  const all = useStore(jobs)
  const newest = [...all.values()].findLast(
    (one) => Object.keys(one.outputs).length > 0 && !isMeshTest(one),
  )
  const job = (shownJob === undefined ? undefined : all.get(shownJob)) ?? newest
  return (
    <section className="stage" aria-label="Picture">
      <div className="stage-switch">
        <SegmentedControl
          size="xs"
          aria-label="What is shown"
          value={side}
          onChange={setSide}
          data={[
            { value: 'picture', label: 'Picture' },
            { value: 'graph', label: 'Graph' },
          ]}
        />
      </div>
      {side === 'graph' ? (
        <div className="stage-graph">
          <Suspense>
            <GraphView
              prompt={draft.prompt}
              definitions={definitions}
              job={job && sameNodes(job, draft) ? job : undefined}
            />
          </Suspense>
        </div>
      ) : (
        <div className="stage-picture">{job ? <Picture job={job} /> : <Nothing />}</div>
      )}
      {job && <Status job={job} />}
      <Strip shown={job?.request.id} onShow={onShow} />
    </section>
  )
}

/** Whether the job is of this graph, whatever its values. */
function sameNodes({ request }: JobState, { prompt }: Draft): boolean {
  const ids = Object.keys(prompt)
  return (
    ids.length === Object.keys(request.prompt).length &&
    ids.every((id) => request.prompt[id]?.class_type === prompt[id]!.class_type)
  )
}

function Nothing() {
  return (
    <Text c="dimmed" ta="center">
      <IconPhoto size={40} stroke={1.2} aria-hidden="true" />
      <br />
      Your picture appears here. Press Run, or drop a workflow or a picture made by ComfyUI.
    </Text>
  )
}

function Picture({ job }: { readonly job: JobState }) {
  const live = useStore(preview)
  const [picture] = picturesOf(job)
  if (picture) {
    return (
      <img
        src={fileUrl(picture.file)}
        alt={summarisePrompt(job.request.prompt).text || 'The finished work'}
      />
    )
  }
  if (job.status === 'failed') {
    return (
      <Alert color="red" title="It failed" role="alert" maw={560}>
        <Text size="sm" mb="xs">
          {job.error?.message}
        </Text>
        <Link href={`/jobs/${job.request.id}`}>What happened</Link>
      </Alert>
    )
  }
  if (job.status === 'paused') {
    return (
      <Alert color="yellow" title="It waits for your answer" maw={560}>
        <Text size="sm" mb="xs">
          {job.pause?.question}
        </Text>
        <Link href={`/jobs/${job.request.id}`}>Answer</Link>
      </Alert>
    )
  }
  if (job.status === 'interrupted') return <Text c="dimmed">Cancelled.</Text>
  if (live?.jobId === job.request.id) return <img src={live.url} alt="The work so far" />
  if (isFinished(job)) return <Text c="dimmed">Done. It made no picture.</Text>
  return <Text c="dimmed">{progressOf(job).text} …</Text>
}

function Status({ job }: { readonly job: JobState }) {
  return (
    <div className="stage-status" aria-live="polite">
      {isFinished(job) ? <Ended job={job} /> : <Running job={job} />}
    </div>
  )
}

function Running({ job }: { readonly job: JobState }) {
  const { share, text } = progressOf(job)
  const cancel = useMutation({ mutationFn: () => cancelJobs([job.request.id]) })
  return (
    <Group wrap="nowrap">
      <div style={{ flex: 1 }}>
        <Text size="sm">{text}</Text>
        <Progress value={share * 100} mt={6} aria-label="Progress" transitionDuration={120} />
      </div>
      <Button
        variant="default"
        size="xs"
        leftSection={<IconX size={14} />}
        loading={cancel.isPending}
        onClick={() => cancel.mutate()}
      >
        Cancel
      </Button>
    </Group>
  )
}

function Ended({ job }: { readonly job: JobState }) {
  const settings = settingsOf(summarisePrompt(job.request.prompt))
  const [picture] = picturesOf(job)
  return (
    <Group justify="space-between" wrap="nowrap">
      <Text size="sm" c="dimmed">
        {[...settings, tookText(job)].filter(Boolean).join(' · ')}
      </Text>
      <Group gap={4} wrap="nowrap">
        <Tooltip label="How it was made">
          <ActionIcon
            component={Link}
            href={`/jobs/${job.request.id}`}
            variant="subtle"
            aria-label="How it was made"
          >
            <IconTimeline size={18} />
          </ActionIcon>
        </Tooltip>
        {picture && <Download picture={picture} />}
      </Group>
    </Group>
  )
}

function Download({ picture }: { readonly picture: MadePicture }) {
  return (
    <Tooltip label="Download">
      <ActionIcon
        component="a"
        href={fileUrl(picture.file)}
        download={picture.file.filename}
        variant="subtle"
        aria-label="Download the picture"
      >
        <IconDownload size={18} />
      </ActionIcon>
    </Tooltip>
  )
}

/** The pictures of the latest jobs. */
function Strip({
  shown,
  onShow,
}: {
  readonly shown: string | undefined
  readonly onShow: (id: string) => void
}) {
  const pictures = [...useStore(jobs).values()]
    .filter((job) => !isMeshTest(job))
    .flatMap((job) => picturesOf(job).slice(0, 1))
  if (pictures.length < 2) return null
  return (
    <nav className="strip" aria-label="Latest pictures">
      {pictures.toReversed().map(({ jobId, file }, index) => (
        <button
          key={jobId}
          type="button"
          aria-pressed={jobId === shown}
          aria-label={`Picture ${index + 1}, the newest first`}
          onClick={() => onShow(jobId)}
        >
          <img src={fileUrl(file, true)} alt="" loading="lazy" />
        </button>
      ))}
    </nav>
  )
}
