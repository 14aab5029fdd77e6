/** What happened to a job, event by event. */
import type { JobState } from '@comfymesh/protocol/job'
import { Text } from '@mantine/core'
import { Problem } from '../../components/problem.tsx'
import { Section } from '../../components/section.tsx'
import { useJobLog } from '../../state/job.ts'
import { jobLog } from '../../state/job-log.ts'
import { usePeerNames } from '../../state/peers.ts'

export function JobLog({ job }: { readonly job: JobState }) {
  const { events, error, isPending } = useJobLog(job)
  const entries = jobLog(job, events, usePeerNames(job))
  return (
    <Section title="What happened">
      {error && <Problem title="The log of this job could not be read" error={error} />}
      {entries.length === 0 && !error && !isPending && (
        <Text size="sm" c="dimmed">
          The agent remembers the events of the latest jobs until it is restarted, and none of this
          one.
        </Text>
      )}
      <ol className="job-log">
        {entries.map(({ key, atMs, text, isBad }) => (
          <li key={key} data-bad={isBad}>
            <time dateTime={new Date(atMs).toISOString()}>
              {new Date(atMs).toLocaleTimeString(undefined, { hour12: false })}
            </time>
            <span>{text}</span>
          </li>
        ))}
      </ol>
    </Section>
  )
}
