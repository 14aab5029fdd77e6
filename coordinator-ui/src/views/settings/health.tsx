/** The doctor's findings: what is well on this machine, what is not, and what to do. */
import type { Finding } from '@comfymesh/protocol/agent-state'
import { Button, Group, Loader, Text, ThemeIcon } from '@mantine/core'
import { IconAlertTriangle, IconCheck, IconStethoscope, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { examine } from '../../api/agent.ts'
import { Problem } from '../../components/problem.tsx'
import { Section } from '../../components/section.tsx'

export function Health() {
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['doctor'],
    queryFn: ({ signal }) => examine(signal),
    // It takes seconds of the machine's time: made when this page opens first, and when asked for.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  })
  return (
    <Section
      title="Health"
      aside={
        <Button
          size="xs"
          variant="default"
          leftSection={<IconStethoscope size={14} />}
          loading={isFetching}
          onClick={() => refetch()}
        >
          Examine again
        </Button>
      }
    >
      {error && <Problem title="The machine could not be examined" error={error} />}
      {data === undefined && !error && (
        <Group gap="sm">
          <Loader size="sm" aria-hidden="true" />
          <Text size="sm" c="dimmed" role="status">
            Trying out what can compute here. This takes some seconds.
          </Text>
        </Group>
      )}
      {data && (
        <>
          <Text size="sm" mb="sm" role="status">
            {verdict(data.findings)}
          </Text>
          <ul className="plain-list">
            {sorted(data.findings).map((finding) => (
              <Line key={`${finding.check} ${finding.message}`} finding={finding} />
            ))}
          </ul>
        </>
      )}
    </Section>
  )
}

const states = {
  problem: { rank: 0, color: 'red', icon: IconX, label: 'Problem' },
  note: { rank: 1, color: 'yellow', icon: IconAlertTriangle, label: 'Could be better' },
  ok: { rank: 2, color: 'teal', icon: IconCheck, label: 'Well' },
} as const

/** What needs somebody first. */
function sorted(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => states[a.state].rank - states[b.state].rank)
}

function verdict(findings: readonly Finding[]): string {
  const count = (state: Finding['state']) => findings.filter((one) => one.state === state).length
  const problems = count('problem')
  if (problems > 0)
    return problems === 1 ? 'One problem prevents work.' : `${problems} problems prevent work.`
  return count('note') > 0 ? 'It works; something could be better.' : 'All is well.'
}

function Line({ finding: { check, state, message, advice } }: { readonly finding: Finding }) {
  const { color, icon: Icon, label } = states[state]
  return (
    <li className="finding">
      <ThemeIcon size={22} radius="xl" variant="light" color={color} aria-label={label} role="img">
        <Icon size={14} />
      </ThemeIcon>
      <Text size="sm" fw={500} component="span">
        {check}
      </Text>
      <div className="finding-text">
        <Text size="sm" style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>
          {message}
        </Text>
        {advice && (
          <Text size="sm" fw={500}>
            {advice}
          </Text>
        )}
      </div>
    </li>
  )
}
