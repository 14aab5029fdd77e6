/** The executor of the other tests hands values on as every executor does. */
import t from 'tap'
import { testValues } from './executors/executor-suite.ts'
import { createFakeExecutor } from './fake-executor.ts'

t.test('values of the fake executor', (t) =>
  testValues(t, createFakeExecutor({ valuesFolder: t.testdir() }), {
    makers: [{ classType: 'TN_Pixels', inputs: { seed: 1, batch: 3, side: 4 } }],
    output: { nodeId: '1', slot: 0, type: 'IMAGE' },
    entries: 3,
    shower: (link) => ({ classType: 'TN_Show', inputs: { images: link } }),
  }),
)
