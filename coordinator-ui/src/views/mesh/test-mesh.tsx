/** "Test this mesh": a small picture by every machine, with the time that it took. */
import { isFinished } from '@comfymesh/protocol/job'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Button, Group, Loader, Text } from '@mantine/core'
import { IconAlertTriangle, IconFlask } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { Link } from 'wouter'
import { fileUrl } from '../../api/comfyui.ts'
import { Section } from '../../components/section.tsx'
import { useJob } from '../../state/job.ts'
import { type MachineTest, machineTests, testMachines } from '../../state/mesh-test.ts'
import { picturesOf } from '../../state/pictures.ts'
import { progressOf } from '../../state/progress.ts'
import { tookText } from '../../state/settings-line.ts'
import { useStore } from '../../state/store.ts'

export function TestButton({ peers }: { readonly peers: readonly MeshPeer[] }) {
  const test = useMutation({ mutationFn: () => testMachines(peers) })
  return (
    <Button
      variant="default"
      leftSection={<IconFlask size={16} />}
      loading={test.isPending}
      onClick={() => test.mutate()}
    >
      Test this mesh
    </Button>
  )
}

/** Nothing before a first test. */
export function TestResults({ peers }: { readonly peers: readonly MeshPeer[] }) {
  const tests = useStore(machineTests)
  if (tests.size === 0) return null
  return (
    <Section title="The test of each machine">
      <ul className="plain-list tests">
        {peers.flatMap(({ peerId, name }) => {
          const test = tests.get(peerId)
          return test === undefined
            ? []
            : [
                <li key={peerId} aria-label={`Test of ${name}`}>
                  <Text size="sm" fw={600} truncate>
                    {name}
                  </Text>
                  <Result test={test} />
                </li>,
              ]
        })}
      </ul>
    </Section>
  )
}

function Result({ test }: { readonly test: MachineTest }) {
  if ('problem' in test) return <Failed why={test.problem} />
  return <JobResult jobId={test.jobId} />
}

function JobResult({ jobId }: { readonly jobId: string }) {
  const { job, error } = useJob(jobId)
  if (error) return <Failed why={error.message} />
  if (job === undefined || !isFinished(job)) {
    return (
      <Group gap="xs" mih={96} wrap="nowrap" role="status">
        <Loader size="xs" aria-hidden="true" />
        <Text size="sm">{job ? progressOf(job).text : 'Asking'}</Text>
      </Group>
    )
  }
  const [picture] = picturesOf(job)
  if (picture === undefined) {
    return (
      <>
        <Failed why={job.error?.message ?? 'It made no picture.'} />
        <Link href={`/jobs/${jobId}`}>What happened</Link>
      </>
    )
  }
  return (
    <>
      <img src={fileUrl(picture.file, true)} alt="What it drew: a green circle" />
      <Text size="sm">
        {tookText(job)} · <Link href={`/jobs/${jobId}`}>details</Link>
      </Text>
    </>
  )
}

function Failed({ why }: { readonly why: string }) {
  return (
    <Text size="sm" c="red" role="alert">
      <IconAlertTriangle size={14} aria-hidden="true" /> {why}
    </Text>
  )
}
