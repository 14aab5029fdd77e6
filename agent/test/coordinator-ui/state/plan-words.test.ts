/** Which attempt ended a job, and who was to blame. */
import type { JobState } from '@comfymesh/protocol/job'
import type { StageAttempt } from '@comfymesh/protocol/job-stages'
import t from 'tap'
import { endingAttempt, failedWhere } from '../../../../coordinator-ui/src/state/plan-words.ts'

const error = (message: string) => ({ code: 'runner_died' as const, message, details: {} })
const attempt = (peerId: string, message: string): StageAttempt => ({
  attemptId: `at ${peerId}`,
  stageId: 's',
  peerId,
  status: 'failed',
  sentAtMs: 1,
  endedAtMs: 2,
  error: error(message),
})
const ended = (attempts: readonly StageAttempt[], message: string) =>
  endingAttempt({ attempts, error: error(message) } as JobState)

t.test('only the attempt with the error of the job ended it', async (t) => {
  const attempts = [attempt('a', 'died'), attempt('b', 'gone')]
  t.equal(ended(attempts, 'died')?.peerId, 'a')
  t.equal(ended(attempts, 'no machine is left'), undefined)
  t.equal(endingAttempt({ attempts: [{ ...attempts[0], error: undefined }] } as never), undefined)
})

t.test('the machine it ran on, and the one whose value it was', async (t) => {
  const nameOf = (peerId: string) => peerId.toUpperCase()
  t.equal(failedWhere(attempt('a', 'x'), nameOf), 'on A')
  t.equal(failedWhere({ peerId: 'a', blamedPeerId: 'a' }, nameOf), 'on A')
  t.equal(failedWhere({ peerId: 'a', blamedPeerId: 'b' }, nameOf), 'on A, by B’s value')
})
