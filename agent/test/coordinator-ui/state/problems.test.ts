/** How the page tells of a prompt that was refused. */
import type { NodeDefinitions, Prompt } from '@comfymesh/protocol/workflow'
import t from 'tap'
import { formProblems, refusalProblems } from '../../../../coordinator-ui/src/state/problems.ts'

const prompt = {
  '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sdxl.safetensors' } },
  '2': { class_type: 'KSampler', inputs: { model: ['1', 1] }, _meta: { title: 'Mine' } },
} as Prompt
const definitions = Object.fromEntries(
  Object.values(prompt).map(({ class_type }) => [class_type, {}]),
) as unknown as NodeDefinitions

const problem = (type: string, message: string, details: string, extra_info: object) => ({
  ...{ type, message, details, extra_info },
})

const refused = (body: object) => ({ message: 'no', body })

const unlisted = refused({
  error: problem('prompt_outputs_failed_validation', 'Prompt outputs failed validation', '', {}),
  node_errors: {
    '1': {
      class_type: 'CheckpointLoaderSimple',
      dependent_outputs: [],
      errors: [
        problem('value_not_in_list', 'Value not in list', 'ckpt_name', { input_name: 'ckpt_name' }),
      ],
    },
    '2': {
      class_type: 'KSampler',
      dependent_outputs: [],
      errors: [
        problem('return_type_mismatch', 'Return type mismatch', 'model', {
          input_name: 'model',
          linked_node: ['1', 1],
        }),
      ],
    },
  },
})

t.test('by node and input, with what to do', async (t) => {
  const { nodes, general } = refusalProblems(unlisted, prompt, definitions)
  t.strictSame(general, [])
  t.match(nodes, [
    { nodeId: '1', input: 'ckpt_name', text: /^Value not in list \(ckpt_name\)\. .*--models/ },
    { nodeId: '2', input: 'model', text: /\. Link model to an output of its own type/ },
  ])
})

t.test('in a form at the field, and above its button what has none', async (t) => {
  const problems = refusalProblems(unlisted, prompt, definitions)
  const { byField, general } = formProblems(problems, new Set(['1.ckpt_name']), prompt)
  t.strictSame([...byField.keys()], ['1.ckpt_name'])
  t.match(general, [/^"Mine" \(KSampler, node 2\): Return type mismatch/, /the fields say which/])
  t.equal(general.length, 2)
  t.equal(formProblems(problems, new Set(), prompt).general.length, 2, 'no field says anything')
})

t.test('what belongs to no field', async (t) => {
  const unknown = refused({
    error: problem('missing_node_type', 'Node not found', '', { node_id: '2' }),
    node_errors: {},
  })
  const { KSampler: _, ...known } = definitions
  t.match(refusalProblems(unknown, prompt, known).nodes, [
    { nodeId: '2', text: /^There is no node KSampler here/ },
  ])
  t.strictSame(
    refusalProblems(unknown, prompt, definitions).nodes,
    [{ nodeId: '2', text: 'Node not found' }],
    'the definitions of this page are older',
  )
  for (const error of [new Error('no'), refused({ error: 'gone' })]) {
    t.strictSame(refusalProblems(error, prompt, definitions), { nodes: [], general: ['no'] })
  }
})
