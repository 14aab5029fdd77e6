/** What is judged at once, and what waits for those who are on their way. */
import t from 'tap'
import { validateInMesh } from '../../src/execution/mesh-validation.ts'
import { problem } from '../../src/planning/problem.ts'
import type { ValidationResult } from '../../src/planning/validate.ts'

const valid: ValidationResult = { valid: true, prompt: {}, outputs: ['9'], nodeErrors: {} }

const failed = (type: string): ValidationResult => ({
  valid: false,
  error: problem('prompt_outputs_failed_validation', '', {}),
  nodeErrors: {
    4: {
      errors: [{ type, message: '', details: '', extra_info: {} }],
      dependent_outputs: ['9'],
      class_type: 'CheckpointLoaderSimple',
    },
  },
})

const unknownModel = failed('value_not_in_list')
const missingNode: ValidationResult = {
  valid: false,
  error: { type: 'missing_node_type', message: '', details: '', extra_info: {} },
  nodeErrors: {},
}

/** @param verdicts one after the other; the members have come before the last one. */
async function judged(...verdicts: ValidationResult[]) {
  let looks = 0
  const validate = async () => verdicts[looks++]!
  const verdict = await validateInMesh(validate, () => looks < verdicts.length)
  return { verdict, looks }
}

t.test('a model or a node that nobody has yet is waited for', async (t) => {
  t.strictSame(await judged(unknownModel, unknownModel, valid), { verdict: valid, looks: 3 })
  t.strictSame(await judged(missingNode, valid), { verdict: valid, looks: 2 })
  const partly: ValidationResult = { ...valid, nodeErrors: unknownModel.nodeErrors }
  t.strictSame(await judged(partly, valid), { verdict: valid, looks: 2 }, 'for one output of two')
})

t.test('until nobody is expected any more', async (t) => {
  t.strictSame(await judged(unknownModel, unknownModel), { verdict: unknownModel, looks: 2 })
})

t.test('not for ever, though members come and go all the time', async (t) => {
  const refuse = async () => unknownModel
  t.strictSame(await validateInMesh(refuse, () => true, 1), unknownModel)
})

t.test('everything else is judged at once', async (t) => {
  t.strictSame(await judged(valid, missingNode), { verdict: valid, looks: 1 })
  const wrong = failed('value_bigger_than_max')
  t.strictSame(await judged(wrong, valid), { verdict: wrong, looks: 1 })
})
