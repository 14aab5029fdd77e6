/** The plan of a job: its timeline, and of each stage where it is, why there and why not elsewhere. */
import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { isOpen, type StageAttempt } from '@comfymesh/protocol/job-stages'
import type { Placement, Plan } from '@comfymesh/protocol/plan'
import { Alert, Badge, Group, Spoiler, Text } from '@mantine/core'
import { useNow } from '../../components/now.ts'
import { Section } from '../../components/section.tsx'
import { byteSize } from '../../state/byte-size.ts'
import { preciseDuration } from '../../state/duration.ts'
import { usePeerNames } from '../../state/peers.ts'
import { failedWhere, findStage, stageTitle, travellingInputs } from '../../state/plan-words.ts'
import { timelineOf } from '../../state/timeline.ts'
import { TimelineView } from './timeline-view.tsx'

export function Stages({ job }: { readonly job: JobState }) {
  const plan = job.plan
  const nowMs = useNow(!isFinished(job) && job.attempts.length > 0)
  const nameOf = usePeerNames(job)
  const titleOf = (stageId: string) => {
    const stage = findStage(job, stageId)
    return stage === undefined ? 'A stage' : stageTitle(job, stage)
  }
  if (plan === undefined) return null
  const timeline = timelineOf(job, nowMs)
  const isExpected = job.attempts.length === 0
  if (plan.stages.length === 0 && isExpected) {
    return (
      <Section title="Where it ran">
        <Text size="sm">Every result was known already, so nothing had to run.</Text>
      </Section>
    )
  }
  return (
    <Section
      title={isFinished(job) ? 'Where it ran' : 'Where it runs'}
      aside={
        job.transferBytes > 0 && (
          <Text size="sm" c="dimmed">
            {byteSize(job.transferBytes)} moved between machines
          </Text>
        )
      }
    >
      <Text size="sm" mb="md">
        {plan.reason}
        {job.earlierPlans.length > 0 &&
          `. Planned ${job.earlierPlans.length + 1} times, because something failed or changed`}
        .
      </Text>
      <TimelineView timeline={timeline} nameOf={nameOf} titleOf={titleOf} />
      {job.attempts
        .filter(({ stageId }) => plan.placements.every((one) => one.stageId !== stageId))
        .filter(hasFailed)
        .map((attempt) => (
          <FailedAttempt
            key={attempt.attemptId}
            job={job}
            attempt={attempt}
            what={titleOf(attempt.stageId)}
          />
        ))}
      <ol className="plain-list stages">
        {plan.placements.map((placement) => (
          <Stage key={placement.stageId} job={job} plan={plan} placement={placement} />
        ))}
      </ol>
    </Section>
  )
}

interface StageProps {
  readonly job: JobState
  readonly plan: Plan
  readonly placement: Placement
}

function Stage({ job, plan, placement }: StageProps) {
  const nameOf = usePeerNames(job)
  const { stageId, peerId, peerName, reason, rejected } = placement
  const stage = plan.stages.find(({ id }) => id === stageId)
  const ran = job.stages.find((one) => one.stageId === stageId)
  const failed = job.attempts.filter((one) => one.stageId === stageId).filter(hasFailed)
  const inputs = travellingInputs(plan, stageId)
  return (
    <li>
      <Group gap="xs" mb={2}>
        <Text fw={600} size="sm">
          {stage === undefined ? 'A stage' : stageTitle(job, stage)}
        </Text>
        <StageBadge job={job} stageId={stageId} />
      </Group>
      <Text size="sm">
        On <b>{ran === undefined ? peerName : nameOf(ran.peerId)}</b>
        {ran === undefined || ran.peerId === peerId ? `: ${reason}` : ''}
      </Text>
      <Text size="sm" c="dimmed">
        {ran === undefined ? expectedTimes(placement) : ranTimes(ran)}
      </Text>
      {inputs.map(({ type, bytes, from }) => (
        <Text key={`${type} ${from}`} size="sm" c="dimmed">
          Gets {type} ({byteSize(bytes)}) {from === undefined ? 'as it was known' : `from ${from}`}
        </Text>
      ))}
      {failed.map((attempt) => (
        <FailedAttempt key={attempt.attemptId} job={job} attempt={attempt} what="It" />
      ))}
      {rejected.length > 0 && (
        <Spoiler
          styles={{ control: { fontSize: 'var(--mantine-font-size-sm)' } }}
          maxHeight={0}
          showLabel="Why not elsewhere"
          hideLabel="Less"
        >
          <ul className="plain-list">
            {rejected.map((one) => (
              <Text key={one.peerId} size="sm" component="li">
                <b>{one.peerName}</b>: {one.reason}
              </Text>
            ))}
          </ul>
        </Spoiler>
      )}
    </li>
  )
}

const hasFailed = ({ status }: StageAttempt) => status === 'failed'

interface FailedAttemptProps {
  readonly job: JobState
  readonly attempt: StageAttempt
  /** The stage, in words. */
  readonly what: string
}

function FailedAttempt({ job, attempt, what }: FailedAttemptProps) {
  const nameOf = usePeerNames(job)
  return (
    <Alert color="yellow" py="xs" my="xs" title={`${what} failed ${failedWhere(attempt, nameOf)}`}>
      {attempt.error?.message}
    </Alert>
  )
}

function StageBadge({ job, stageId }: { readonly job: JobState; readonly stageId: string }) {
  const attempts = job.attempts.filter((one) => one.stageId === stageId)
  const open = attempts.find(isOpen)
  const { label, color } = attempts.some(({ status }) => status === 'finished')
    ? { label: 'Done', color: 'teal' }
    : open !== undefined
      ? { label: open.status === 'sent' ? 'Sent' : 'Computes', color: 'indigo' }
      : { label: isFinished(job) ? 'Did not run' : 'To come', color: 'gray' }
  return (
    <Badge size="sm" variant="light" color={color} tt="none">
      {label}
    </Badge>
  )
}

function ranTimes(stage: JobState['stages'][number]): string {
  const { waitMs, transferMs, transferBytes, computeMs, provider } = stage
  return [
    `computed ${preciseDuration(computeMs)}${provider === undefined ? '' : ` with ${provider}`}`,
    ...(waitMs >= 500 ? [`waited ${preciseDuration(waitMs)}`] : []),
    ...(transferBytes > 0
      ? [`${byteSize(transferBytes)} moved in ${preciseDuration(transferMs)}`]
      : []),
  ].join(' · ')
}

function expectedTimes({ estimate }: Placement): string {
  const { waitMs, loadMs, transferMs, computeMs } = estimate
  const parts = [
    ...(waitMs >= 500 ? [`wait ${preciseDuration(waitMs)}`] : []),
    ...(transferMs >= 500 ? [`transfer ${preciseDuration(transferMs)}`] : []),
    ...(loadMs >= 500 ? [`load ${preciseDuration(loadMs)}`] : []),
    `compute ${preciseDuration(computeMs)}`,
  ]
  return `Expected: ${parts.join(', ')}`
}
