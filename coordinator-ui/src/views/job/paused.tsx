/** What a paused job asks: which machine to take instead, with a preview of the plan. */
import { type JobAnswer, type JobState, optionsOf, type Pause } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import { Alert, Button, Group, Loader, Radio, Stack, Text } from '@mantine/core'
import { IconHelpCircle } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerJob, previewPlan } from '../../api/jobs.ts'
import { duration } from '../../state/duration.ts'
import { usePeerNames, usePeers } from '../../state/peers.ts'
import { stageTitle } from '../../state/plan-words.ts'
import { ofPlan } from '../../state/timeline.ts'
import { TimelineView } from './timeline-view.tsx'

const PROPOSED = ''

export interface PausedProps {
  readonly job: JobState
  readonly pause: Pause
}

export function Paused({ job, pause }: PausedProps) {
  const [chosen, setChosen] = useState(PROPOSED)
  const { data: mesh } = usePeers()
  const nameOf = usePeerNames()
  const answer = useMutation({ mutationFn: (given: JobAnswer) => answerJob(job.request.id, given) })
  const others = (mesh?.peers ?? []).filter(({ state }) => state !== 'away')
  const proposed = [...new Set(pause.plan.placements.map(({ peerId }) => peerId))]
  return (
    <Alert
      color="yellow"
      mb="md"
      icon={<IconHelpCircle size={20} />}
      title="This job waits for your answer"
    >
      <Stack gap="sm">
        <Text size="sm">{pause.question}</Text>
        <Radio.Group label="Run it instead on" value={chosen} onChange={setChosen}>
          <Stack gap={6} mt={6}>
            <Radio value={PROPOSED} label={`As proposed: ${proposed.map(nameOf).join(', ')}`} />
            {others.map(({ peerId, name }) => (
              <Radio key={peerId} value={peerId} label={name} />
            ))}
          </Stack>
        </Radio.Group>
        {chosen === PROPOSED ? (
          <Preview job={job} plan={pause.plan} />
        ) : (
          <OtherPlan job={job} pause={pause} peerId={chosen} />
        )}
        {answer.error && (
          <Alert color="red" role="alert">
            {answer.error.message}
          </Alert>
        )}
        <Group gap="xs">
          <Button
            loading={answer.isPending}
            onClick={() => answer.mutate(chosen === PROPOSED ? 'go' : { peer: chosen })}
          >
            {chosen === PROPOSED ? 'Run as proposed' : `Run on ${nameOf(chosen)}`}
          </Button>
          <Button variant="default" onClick={() => answer.mutate('cancel')}>
            Cancel the job
          </Button>
        </Group>
      </Stack>
    </Alert>
  )
}

function OtherPlan({ job, pause, peerId }: PausedProps & { readonly peerId: string }) {
  const options = optionsOf(job)
  const rebound = Object.fromEntries((pause.plan.unmet ?? []).map((key) => [key, peerId]))
  const affinity = { ...options.affinity, ...rebound }
  const { data: plan, error } = useQuery({
    queryKey: ['plan', job.request.id, peerId],
    queryFn: () => previewPlan(job.request.prompt, { affinity, fallback: 'none' }),
  })
  if (error) {
    return (
      <Text size="sm" c="red" role="alert">
        {error.message}
      </Text>
    )
  }
  return plan === undefined ? (
    <Loader size="sm" aria-label="Planning" />
  ) : (
    <Preview job={job} plan={plan} />
  )
}

function Preview({ job, plan }: { readonly job: JobState; readonly plan: Plan }) {
  const nameOf = usePeerNames()
  const titleOf = (id: string) => {
    const stage = plan.stages.find((one) => one.id === id)
    return stage === undefined ? 'A stage' : stageTitle(job, stage)
  }
  return (
    <div>
      <Text size="sm" mb={4}>
        {plan.placements
          .map(({ stageId, peerName }) => `${titleOf(stageId)} on ${peerName}`)
          .join('; ')}
        . Done in about {duration(plan.totals.finishMs)}.
      </Text>
      <TimelineView timeline={ofPlan(plan)} nameOf={nameOf} titleOf={titleOf} />
    </div>
  )
}
