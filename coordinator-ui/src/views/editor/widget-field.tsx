/** A widget inside of a node: the control that fits its type. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { AFTER_RUN, setAfterRun, setWidget } from '../../state/editor/edit-widgets.ts'
import { edit, endStep } from '../../state/editor/editor.ts'
import type { WidgetView } from '../../state/editor/node-parts.ts'
import type { WidgetControl } from '../../state/editor/widget-control.ts'
import { ChoiceField } from './choice-field.tsx'
import { useEditorContext } from './editor-context.ts'
import { type FieldProps, OWN, textOf } from './field-props.ts'
import { NumberField } from './number-field.tsx'

export interface WidgetFieldProps {
  readonly nodeId: string
  readonly nodeTitle: string
  readonly widget: WidgetView
  readonly problem: string | undefined
}

export function WidgetField({ nodeId, nodeTitle, widget, problem }: WidgetFieldProps) {
  const { definitions, isReadOnly } = useEditorContext()
  const { name, label, value, control, at, input } = widget
  const isLinked = input?.linkId !== undefined
  const change = (next: JsonValue) =>
    edit(
      (workflow) => setWidget(workflow, { nodeId, name }, next, definitions),
      `value of ${nodeId}.${name}`,
    )
  const props = {
    name: label,
    label: `${label} of ${nodeTitle}`,
    value,
    isReadOnly: isReadOnly || at === undefined,
    problem,
    onChange: change,
  }
  if (isLinked) return <span className="widget-linked">{label}</span>
  return (
    <div className="widget-body">
      <Control {...props} control={control} />
      {widget.afterRun && (
        <AfterRun nodeId={nodeId} nodeTitle={nodeTitle} name={name} value={widget.afterRun.value} />
      )}
    </div>
  )
}

function Control({ control, ...props }: FieldProps<WidgetControl>) {
  switch (control.kind) {
    case 'integer':
    case 'decimal':
      return <NumberField {...props} control={control} />
    case 'text':
      return control.isMultiline ? (
        <TextArea {...props} control={control} />
      ) : (
        <TextField {...props} control={control} />
      )
    case 'switch':
      return <SwitchField {...props} control={control} />
    case 'choice':
      return <ChoiceField {...props} control={control} />
    case 'kept':
      return (
        <span className="widget-line widget-kept" title="Kept as it is in the file">
          <span>{props.name}</span>
          <span>{textOf(props.value)}</span>
        </span>
      )
  }
}

function TextField({ name, label, value, isReadOnly, problem, onChange }: FieldProps<unknown>) {
  return (
    <div className={`widget-line ${OWN}`} data-wrong={problem !== undefined}>
      <span aria-hidden="true">{name}</span>
      <input
        aria-label={label}
        aria-invalid={problem !== undefined}
        readOnly={isReadOnly}
        value={textOf(value)}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
        onBlur={endStep}
      />
    </div>
  )
}

function TextArea({ name, label, value, isReadOnly, problem, onChange }: FieldProps<unknown>) {
  return (
    <textarea
      className={`widget-text nowheel ${OWN}`}
      data-wrong={problem !== undefined}
      aria-label={label}
      aria-invalid={problem !== undefined}
      placeholder={name}
      spellCheck={false}
      readOnly={isReadOnly}
      value={textOf(value)}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      onBlur={endStep}
    />
  )
}

function SwitchField({ name, label, value, isReadOnly, onChange }: FieldProps<unknown>) {
  return (
    <label className={`widget-line widget-switch ${OWN}`}>
      <span>{name}</span>
      <input
        type="checkbox"
        role="switch"
        aria-label={label}
        aria-checked={value === true}
        disabled={isReadOnly}
        checked={value === true}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
    </label>
  )
}

interface AfterRunProps {
  readonly nodeId: string
  readonly nodeTitle: string
  readonly name: string
  readonly value: string
}

function AfterRun({ nodeId, nodeTitle, name, value }: AfterRunProps) {
  const { definitions, isReadOnly } = useEditorContext()
  return (
    <label className={`widget-line ${OWN}`}>
      <span aria-hidden="true">after each run</span>
      <select
        aria-label={`${name} of ${nodeTitle} after each run`}
        disabled={isReadOnly}
        value={value}
        onChange={({ currentTarget }) => {
          const next = currentTarget.value
          edit((workflow) => setAfterRun(workflow, { nodeId, name }, next, definitions))
        }}
      >
        {AFTER_RUN.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  )
}
