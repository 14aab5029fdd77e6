/** What runs here since when, and where its files lie. */
import type { AgentState } from '@comfymesh/protocol/agent-state'
import { Table } from '@mantine/core'
import { Section } from '../../components/section.tsx'
import { ago } from '../../state/duration.ts'

export function About({ agent }: { readonly agent: AgentState }) {
  const rows = [
    { what: 'comfymesh', text: agent.version },
    { what: 'Node.js', text: `${agent.node} on ${agent.platform}` },
    { what: 'Running', text: `since ${ago(agent.startedAtMs, Date.now())}` },
    ...agent.folders.map(({ what, path }) => ({ what, text: path })),
  ]
  return (
    <Section title="This agent">
      <Table withRowBorders={false} verticalSpacing={4} horizontalSpacing={0}>
        <Table.Tbody>
          {rows.map(({ what, text }) => (
            <Table.Tr key={`${what} ${text}`}>
              <Table.Th fw={500} w={150} style={{ verticalAlign: 'top' }}>
                {what}
              </Table.Th>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>{text}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Section>
  )
}
