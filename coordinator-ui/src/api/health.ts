/** What the agent says of itself. */
import { useQuery } from '@tanstack/react-query'
import { get } from './http.ts'

export interface Health {
  readonly name: string
  readonly version: string
  readonly mesh: boolean
  /** Where an official ComfyUI frontend is, if one is served. */
  readonly frontend?: string
}

export function useHealth(): Health | undefined {
  const { data } = useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => get<Health>('health', signal),
    staleTime: 60_000,
  })
  return data
}
