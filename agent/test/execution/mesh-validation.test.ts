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

/** Members on their way, of whom the test tells. */
function testGathering(expectedMs: () => number) {
  const listeners = new Set<() => void>()
  return {
    expectedMs,
    onChange(listener: () => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    listeners,
    tell() {
      for (const listener of listeners) listener()
    },
  }
}

const AN_HOUR_MS = 3_600_000

/** @param verdicts one after the other, each after a change; the members have come before the last one. */
async function judged(...verdicts: ValidationResult[]) {
  let looks = 0
  const gathering = testGathering(() => {
    const isExpected = looks < verdicts.length
    // As soon as it waits.
    if (isExpected) setImmediate(gathering.tell)
    return isExpected ? AN_HOUR_MS : 0
  })
  const validate = async () => verdicts[looks++]!
  const verdict = await validateInMesh(validate, gathering, AN_HOUR_MS)
  t.equal(gathering.listeners.size, 0)
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
  const gathering = testGathering(() => AN_HOUR_MS)
  let looks = 0
  const refuse = async () => {
    looks++
    setImmediate(gathering.tell)
    return unknownModel
  }
  t.strictSame(await validateInMesh(refuse, gathering, 20), unknownModel)
  t.ok(looks > 1)
})

t.test('not longer than somebody is expected', async (t) => {
  const untilMs = performance.now() + 20
  const gathering = testGathering(() => Math.max(0, untilMs - performance.now()))
  const refuse = async () => unknownModel
  t.strictSame(await validateInMesh(refuse, gathering, AN_HOUR_MS), unknownModel)
})

t.test('who comes while the prompt is judged was not missed', async (t) => {
  const verdicts = [unknownModel, valid]
  const gathering = testGathering(() => 0)
  const validate = async () => {
    if (verdicts.length === 2) gathering.tell()
    return verdicts.shift()!
  }
  t.strictSame(await validateInMesh(validate, gathering, AN_HOUR_MS), valid)
})

t.test('a validation that fails leaves no listener behind', async (t) => {
  const gathering = testGathering(() => AN_HOUR_MS)
  await t.rejects(validateInMesh(() => Promise.reject(new Error('no disk')), gathering))
  t.equal(gathering.listeners.size, 0)
})

t.test('everything else is judged at once', async (t) => {
  t.strictSame(await judged(valid, missingNode), { verdict: valid, looks: 1 })
  const wrong = failed('value_bigger_than_max')
  t.strictSame(await judged(wrong, valid), { verdict: wrong, looks: 1 })
})
