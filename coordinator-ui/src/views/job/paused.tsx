/** What a paused job asks: which machine to take instead, with a preview of the plan. */
import type { JobAnswer, JobState, Pause } from '@comfymesh/protocol/job'
import type { Plan } from '@comfymesh/protocol/plan'
import { Alert, Button, Group, Loader, Radio, Stack, Text } from '@mantine/core'
import { IconHelpCircle } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerJob, previewAnswer } from '../../api/jobs.ts'
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
  const nameOf = usePeerNames(job)
  const answer = useMutation({ mutationFn: (given: JobAnswer) => answerJob(job.request.id, given) })
  const proposed = [...new Set(pause.plan.placements.map(({ peerId }) => peerId))]
  const isProposal = (peerId: string) => proposed.length === 1 && proposed[0] === peerId
  const others = (mesh?.peers ?? []).filter(
    ({ peerId, state }) => state !== 'away' && !isProposal(peerId),
  )
  const proposal = proposed.map(nameOf).join(' and ')
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
            <Radio value={PROPOSED} label={`${proposal}, as proposed`} />
            {others.map(({ peerId, name }) => (
              <Radio key={peerId} value={peerId} label={name} />
            ))}
          </Stack>
        </Radio.Group>
        <div aria-live="polite">
          {chosen === PROPOSED ? (
            <Preview job={job} plan={pause.plan} />
          ) : (
            <OtherPlan job={job} peerId={chosen} />
          )}
        </div>
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
            Run on {chosen === PROPOSED ? proposal : nameOf(chosen)}
          </Button>
          <Button variant="default" onClick={() => answer.mutate('cancel')}>
            Cancel the job
          </Button>
        </Group>
      </Stack>
    </Alert>
  )
}

/** What the agent would do after that answer. */
function OtherPlan({ job, peerId }: { readonly job: JobState; readonly peerId: string }) {
  const { data: plan, error } = useQuery({
    queryKey: ['answer plan', job.request.id, peerId],
    queryFn: () => previewAnswer(job.request.id, { peer: peerId }),
  })
  const problem = error?.message ?? plan?.question
  if (problem !== undefined) {
    return (
      <Text size="sm" c="red" role="alert">
        {plan === undefined ? problem : `It would ask again: ${problem}`}
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
  const nameOf = usePeerNames(job)
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
