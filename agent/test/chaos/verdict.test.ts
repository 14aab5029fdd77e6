/** The judge of the chaos: what it lets pass, and what it does not. */
import type { JobState } from '@comfymesh/protocol/job'
import t from 'tap'
import type { Fault } from './faults.ts'
import type { Machine } from './machine.ts'
import type { Submission } from './traffic.ts'
import { complaint } from './verdict.ts'

const AT_MS = 1_000_000

function submitted(changes: Partial<Submission> = {}): Submission {
  return {
    id: 'a',
    shape: 'whole',
    prompt: {},
    extraData: { comfymesh: { affinity: { KSampler: 'tower' }, fallback: 'none' } },
    machine: { name: 'desk' } as Machine,
    atMs: AT_MS,
    answer: 'accepted',
    ...changes,
  }
}

function state(status: JobState['status'], code?: string): JobState {
  const error = code === undefined ? {} : { error: { code, message: 'It is so.', details: {} } }
  return { status, finishedAtMs: AT_MS + 5000, ...error } as unknown as JobState
}

const fault = (machine: string, fromMs: number): Fault => ({
  kind: 'freeze',
  machine,
  fromMs,
  toMs: fromMs + 1000,
})

interface Row {
  readonly about: string
  readonly submission?: Partial<Submission>
  readonly state: JobState | undefined
  readonly histories: readonly string[]
  readonly faults?: readonly Fault[]
  readonly complaint: RegExp | undefined
}

const lost = state('failed', 'peer_unreachable')
const rows: readonly Row[] = [
  {
    about: 'completed',
    state: state('completed'),
    histories: ['desk'],
    complaint: undefined,
  },
  {
    about: 'accepted and gone',
    state: undefined,
    histories: [],
    complaint: /accepted, and nobody/,
  },
  {
    about: 'no answer, no job',
    submission: { answer: 'unanswered' },
    state: undefined,
    histories: [],
    complaint: undefined,
  },
  {
    about: 'refused and there',
    submission: { answer: 'refused' },
    state: state('completed'),
    histories: ['desk'],
    complaint: /refused, and is there/,
  },
  {
    about: 'known to somebody who should not',
    state: state('completed'),
    histories: ['desk', 'tower'],
    complaint: /2 histories/,
  },
  {
    about: 'still running',
    state: state('running'),
    histories: [],
    complaint: /hangs: running/,
  },
  {
    about: 'interrupted by nobody',
    state: { ...state('interrupted'), startedAtMs: AT_MS + 1 },
    histories: ['desk'],
    complaint: /nobody wanted/,
  },
  {
    about: 'cancelled',
    submission: { cancelledAtMs: AT_MS + 1 },
    state: { ...state('interrupted'), startedAtMs: AT_MS + 1 },
    histories: ['desk'],
    complaint: undefined,
  },
  {
    about: 'cancelled before it began',
    submission: { cancelledAtMs: AT_MS + 1 },
    state: state('interrupted'),
    histories: [],
    complaint: undefined,
  },
  {
    about: 'cancelled while it ran, and in no history',
    submission: { cancelledAtMs: AT_MS + 1 },
    state: { ...state('interrupted'), startedAtMs: AT_MS + 1 },
    histories: [],
    complaint: /0 histories/,
  },
  {
    about: 'failed in calm',
    state: lost,
    histories: ['desk'],
    complaint: /no fault explains/,
  },
  {
    about: 'failed while its machine was struck',
    state: lost,
    histories: ['desk'],
    faults: [fault('tower', AT_MS + 1000)],
    complaint: undefined,
  },
  {
    about: 'failed while another was',
    state: lost,
    histories: ['desk'],
    faults: [fault('studio', AT_MS + 1000)],
    complaint: /no fault explains/,
  },
  {
    about: 'failed before the fault',
    state: lost,
    histories: ['desk'],
    faults: [fault('tower', AT_MS + 6000)],
    complaint: /no fault explains/,
  },
  {
    about: 'failed by a bug',
    state: state('failed', 'internal'),
    histories: ['desk'],
    faults: [fault('tower', AT_MS + 1000)],
    complaint: /internal: It is so/,
  },
]

for (const row of rows) {
  t.test(row.about, async (t) => {
    const end = {
      submission: submitted(row.submission),
      state: row.state,
      histories: row.histories,
    }
    const found = complaint(end, row.faults ?? [])
    if (row.complaint === undefined) t.equal(found, undefined)
    else t.match(found, row.complaint)
  })
}
