import { MeshError } from '@comfymesh/protocol/errors'
import type { Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { UsageError } from '../../src/cli/arguments.ts'
import { errorLines, failureLine, refusalLines } from '../../src/cli/problems.ts'

const prompt: Prompt = {
  '3': { class_type: 'KSampler', inputs: {}, _meta: { title: 'My sampler' } },
  '4': { class_type: 'SaveImage', inputs: {} },
}

t.test('what validation says, with the names of the nodes', async (t) => {
  const error = { type: 'x', message: 'Prompt outputs failed validation', details: '' }
  const node_errors = {
    '3': {
      class_type: 'KSampler',
      errors: [
        { message: 'Value 0 smaller than min of 1', details: 'steps' },
        { message: 'Required input is missing', details: 'model' },
      ],
    },
    '4': { class_type: 'SaveImage', errors: [{ message: 'Odd', details: '' }] },
  }
  t.strictSame(refusalLines({ error, node_errors }, prompt), [
    '"My sampler" (KSampler, node 3): Value 0 smaller than min of 1 (steps)',
    '"My sampler" (KSampler, node 3): Required input is missing (model)',
    'SaveImage (node 4): Odd',
  ])
  const noOutputs = { ...error, message: 'Prompt has no outputs' }
  t.strictSame(refusalLines({ error: noOutputs, node_errors: {} }, prompt), [
    'Prompt has no outputs',
  ])
})

t.test('why a job failed', async (t) => {
  const error = { code: 'node_failed', message: 'no', details: {} } as const
  t.equal(failureLine(error, prompt, '4'), 'SaveImage (node 4): no')
  t.equal(failureLine(error, prompt), 'no')
})

t.test('errors of commands; only bugs come with a stack', async (t) => {
  t.strictSame(errorLines(new UsageError('Wrong.'), 'run'), ['Wrong.', 'See: comfymesh run --help'])
  t.strictSame(errorLines(new MeshError('storage_failed', 'Disk full.')), ['Disk full.'])
  t.strictSame(errorLines(new Error('The agent stopped.')), ['The agent stopped.'])
  t.match(errorLines(new TypeError('x is undefined')).join(), /a bug of comfymesh: TypeError/)
})
