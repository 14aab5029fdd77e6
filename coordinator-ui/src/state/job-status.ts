/** How the states of a job are called and coloured. */
import type { JobStatus } from '@comfymesh/protocol/job'

export const statusWords = {
  queued: { label: 'Waiting', color: 'gray' },
  paused: { label: 'Waits for you', color: 'yellow' },
  running: { label: 'Running', color: 'indigo' },
  completed: { label: 'Completed', color: 'teal' },
  failed: { label: 'Failed', color: 'red' },
  interrupted: { label: 'Cancelled', color: 'gray' },
} as const satisfies { readonly [status in JobStatus]: { label: string; color: string } }
