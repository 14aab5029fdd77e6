/** What needs the node definitions of the agent: shown once they are here. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Loader } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { nodeDefinitions } from '../api/comfyui.ts'
import { Problem } from './problem.tsx'

export interface WithDefinitionsProps {
  readonly children: (definitions: NodeDefinitions) => ReactNode
}

export function WithDefinitions({ children }: WithDefinitionsProps) {
  const { data: definitions, error } = useQuery({
    queryKey: ['node definitions'],
    queryFn: ({ signal }) => nodeDefinitions(signal),
    staleTime: 60_000,
  })
  // Those that were read last serve on when reading them again fails.
  if (definitions !== undefined) return children(definitions)
  return (
    <div className="page">
      {error === null ? (
        <Loader aria-label="Reading the nodes" />
      ) : (
        <Problem title="The nodes could not be read" error={error} />
      )}
    </div>
  )
}
