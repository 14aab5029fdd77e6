/** Which parameters are shown, kept with the workflow. */
import { parseJson, stringifyJson } from '@comfymesh/protocol/json'
import t from 'tap'
import {
  arranged,
  formOfText,
  formOfWorkflow,
  formText,
  readForm,
  usualChoice,
  withLabel,
  withShown,
  workflowWithForm,
} from '../../../../coordinator-ui/src/state/form-choice.ts'
import { type Parameter, withChoices } from '../../../../coordinator-ui/src/state/parameters.ts'

const parameter = (id: string, isMain: boolean, value = ''): Parameter => ({
  id,
  nodeId: id.split('.')[0]!,
  input: id.split('.')[1]!,
  label: id,
  control: { kind: 'text', isMultiline: true, hasChoices: true },
  value,
  isMain,
  nodeTitle: 'Node',
})

const all = [parameter('1.text', true), parameter('2.steps', true), parameter('3.name', false)]
const shown = (parameters: readonly Parameter[]) =>
  parameters.filter(({ isMain }) => isMain).map(({ label }) => label)

t.test('parameters are shown, hidden, renamed, and as usual again', async (t) => {
  t.strictSame(shown(arranged(all)), ['1.text', '2.steps'])
  const usual = usualChoice(all)
  const form = withLabel(
    withShown(withShown(usual, '1.text', false), '3.name', true),
    '3.name',
    'File',
  )
  t.strictSame(shown(arranged(all, form)), ['2.steps', 'File'])
  t.strictSame(withLabel(form, '3.name', ''), [{ id: '2.steps' }, { id: '3.name' }])
  t.equal(withShown(form, '3.name', true), form, 'what is shown stays in its place')
  t.equal(
    arranged(all, [{ id: 'gone.away' }]).length,
    3,
    'what is no parameter any more is passed over',
  )
})

t.test('it is kept in the workflow, beside what others keep there', async (t) => {
  const workflow = { nodes: [], extra: { ds: { scale: 1 }, comfymesh: { other: true } } }
  const form = [{ id: '3.name', label: 'File' }]
  const kept = parseJson(stringifyJson(workflowWithForm(workflow, form))) as typeof workflow
  t.match(kept, workflow)
  t.strictSame(formOfWorkflow(kept), form)
  t.equal(formOfWorkflow(workflow), undefined)
  t.strictSame(formOfText(formText(form)), form)
})

t.test('what strangers write there does no harm', async (t) => {
  for (const odd of ['no json', '{}', '[1]', '[{"id":7}]', '[null]']) {
    t.equal(formOfText(odd), undefined, odd)
  }
  t.strictSame(readForm([{ id: 'a', label: 7 }]), [{ id: 'a' }])
})

t.test('a choice of words is made for each run', async (t) => {
  const prompt = { 1: { class_type: 'X', inputs: { text: 'a {red|blue} cat' } } }
  const parameters = [parameter('1.text', true, 'a {red|blue} cat')]
  const first = withChoices(prompt, parameters, () => 0)
  const second = withChoices(prompt, parameters, () => 0.9)
  t.equal(first[1]!.inputs.text, 'a red cat')
  t.equal(second[1]!.inputs.text, 'a blue cat')
  t.equal(prompt[1].inputs.text, 'a {red|blue} cat')
})
