/** How this agent is reached, how well the machine is, where its files lie, and what the logs say. */
import './settings.css'
import { SimpleGrid } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { readAgent } from '../../api/agent.ts'
import { PageHead } from '../../components/page-head.tsx'
import { Problem } from '../../components/problem.tsx'
import { About } from './about.tsx'
import { Health } from './health.tsx'
import { Logs } from './logs.tsx'
import { Reach } from './reach.tsx'

export default function SettingsView() {
  const {
    data: agent,
    error,
    refetch,
  } = useQuery({
    queryKey: ['agent'],
    queryFn: ({ signal }) => readAgent(signal),
  })
  return (
    <div className="page">
      <PageHead title="Settings and health" subtitle={agent && `${agent.name}, this machine`} />
      {error && (
        <Problem title="The agent's settings could not be read" error={error} onRetry={refetch} />
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} verticalSpacing={0}>
        {agent && <Reach agent={agent} />}
        {agent && <About agent={agent} />}
      </SimpleGrid>
      <Health />
      <Logs />
    </div>
  )
}
