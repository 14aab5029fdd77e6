/** One job of the queue: what it is, how far it is, and how to move or cancel it. */

import type { JobState } from '@comfymesh/protocol/job'
import { summarisePrompt } from '@comfymesh/protocol/prompt-summary'
import { ActionIcon, Button, Group, Paper, Progress, Text, Tooltip } from '@mantine/core'
import { IconArrowBarToUp, IconArrowDown, IconArrowUp, IconX } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { cancelJobs, moveJobs, type QueuedJob } from '../../api/queue.ts'
import { duration } from '../../state/duration.ts'
import { progressOf } from '../../state/progress.ts'
import { settingsOf } from '../../state/settings-line.ts'

export interface JobRowProps {
  readonly queued: QueuedJob
  readonly state: JobState | undefined
  /** The jobs that wait, in their order. */
  readonly waiting: readonly string[]
  readonly act: (action: () => Promise<unknown>) => void
}

export function JobRow({ queued, state, waiting, act }: JobRowProps) {
  const { id } = queued
  const at = waiting.indexOf(id)
  const summary = state ? summarisePrompt(state.request.prompt) : { text: '' }
  const move = (target: Parameters<typeof moveJobs>[1]) => act(() => moveJobs([id], target))
  const name = summary.text || `Job ${id.slice(0, 8)}`
  return (
    <Paper component="li" withBorder p="sm">
      <Group wrap="nowrap" justify="space-between">
        <div style={{ minWidth: 0, flex: 1 }}>
          <Text truncate fw={500}>
            <Link href={`/jobs/${id}`} className="quiet-link">
              {name}
            </Link>
          </Text>
          <Text size="sm" c="dimmed" truncate>
            {[statusText(queued, state), ...settingsOf(summary)].join(' · ')}
          </Text>
          {state?.status === 'running' && (
            <Progress
              value={progressOf(state).share * 100}
              mt={8}
              aria-label={`Progress of ${name}`}
              transitionDuration={120}
            />
          )}
        </div>
        <Group gap={4} wrap="nowrap">
          {queued.status === 'paused' && (
            <Button component={Link} href={`/jobs/${id}`} size="xs" color="yellow" variant="light">
              Answer
            </Button>
          )}
          {at > 0 && (
            <>
              <Action label={`Run ${name} next`} onClick={() => move({ to: 'front' })}>
                <IconArrowBarToUp size={16} />
              </Action>
              <Action label={`Move ${name} up`} onClick={() => move({ before: waiting[at - 1]! })}>
                <IconArrowUp size={16} />
              </Action>
            </>
          )}
          {at >= 0 && at < waiting.length - 1 && (
            <Action label={`Move ${name} down`} onClick={() => move({ after: waiting[at + 1]! })}>
              <IconArrowDown size={16} />
            </Action>
          )}
          <Action label={`Cancel ${name}`} onClick={() => act(() => cancelJobs([id]))}>
            <IconX size={16} />
          </Action>
        </Group>
      </Group>
    </Paper>
  )
}

function statusText({ status, startsInMs, estimateMs }: QueuedJob, state: JobState | undefined) {
  if (status === 'paused') return state?.pause?.question ?? 'Waits for your answer'
  if (status === 'running') return state ? progressOf(state).text : 'Running'
  if (typeof startsInMs === 'number') return `starts in about ${duration(startsInMs)}`
  return typeof estimateMs === 'number' ? `waits, takes about ${duration(estimateMs)}` : 'waits'
}

interface ActionProps {
  readonly label: string
  readonly onClick: () => void
  readonly children: ReactNode
}

function Action({ label, onClick, children }: ActionProps) {
  return (
    <Tooltip label={label} openDelay={400}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  )
}
