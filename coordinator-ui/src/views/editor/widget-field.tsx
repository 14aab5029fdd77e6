/** A widget inside of a node: the control that fits its type. */
import type { JsonValue } from '@comfymesh/protocol/json'
import {
  IconChevronDown,
  IconChevronLeft,
  IconChevronRight,
  IconPhotoPlus,
} from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { uploadPicture } from '../../api/comfyui.ts'
import { AFTER_RUN, setAfterRun, setWidget } from '../../state/editor/edit-widgets.ts'
import { edit, endStep } from '../../state/editor/editor.ts'
import type { WidgetView } from '../../state/editor/node-parts.ts'
import {
  type DecimalControl,
  type IntegerControl,
  parseNumber,
  steppedNumber,
  type WidgetControl,
} from '../../state/editor/widget-control.ts'
import { useEditorContext } from './editor-context.ts'

export interface WidgetFieldProps {
  readonly nodeId: string
  readonly nodeTitle: string
  readonly widget: WidgetView
  readonly problem: string | undefined
}

interface FieldProps<Control> {
  readonly name: string
  readonly label: string
  readonly value: JsonValue | undefined
  readonly control: Control
  readonly isReadOnly: boolean
  readonly problem: string | undefined
  readonly onChange: (value: JsonValue) => void
}

/** Keys and pointers of a field are its own, not the canvas's. */
const OWN = 'nodrag nopan nokey'

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

const textOf = (value: JsonValue | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'object' ? '…' : String(value)

function NumberField({
  name,
  label,
  value,
  control,
  isReadOnly,
  problem,
  onChange,
}: FieldProps<IntegerControl | DecimalControl>) {
  const [typed, setTyped] = useState<string>()
  const move = (steps: number) => {
    setTyped(undefined)
    onChange(steppedNumber(control, value, steps))
  }
  const commit = () => {
    const next = typed === undefined ? undefined : parseNumber(control, typed)
    setTyped(undefined)
    if (next !== undefined) onChange(next)
  }
  const isWrong = typed !== undefined && parseNumber(control, typed) === undefined
  return (
    <div
      className={`widget-line widget-number ${OWN}`}
      data-wrong={isWrong || problem !== undefined}
    >
      <Arrow label={`Less ${label}`} isShown={!isReadOnly} onPress={() => move(-1)}>
        <IconChevronLeft size={12} />
      </Arrow>
      <span aria-hidden="true">{name}</span>
      <input
        inputMode={control.kind === 'integer' ? 'numeric' : 'decimal'}
        aria-label={label}
        aria-invalid={isWrong || problem !== undefined}
        readOnly={isReadOnly}
        value={typed ?? textOf(value)}
        onChange={({ currentTarget }) => setTyped(currentTarget.value)}
        onFocus={({ currentTarget }) => currentTarget.select()}
        onBlur={() => {
          commit()
          endStep()
        }}
        onKeyDown={(event) => {
          if (isReadOnly) return
          if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) commit()
          else if (event.key === 'Escape') setTyped(undefined)
          else if (event.key === 'ArrowUp') move(event.shiftKey ? 10 : 1)
          else if (event.key === 'ArrowDown') move(event.shiftKey ? -10 : -1)
          else return
          event.preventDefault()
        }}
      />
      <Arrow label={`More ${label}`} isShown={!isReadOnly} onPress={() => move(1)}>
        <IconChevronRight size={12} />
      </Arrow>
    </div>
  )
}

interface ArrowProps {
  readonly label: string
  readonly isShown: boolean
  readonly onPress: () => void
  readonly children: React.ReactNode
}

/** For the pointer; the field has the arrow keys. */
function Arrow({ label, isShown, onPress, children }: ArrowProps) {
  if (!isShown) return null
  return (
    <button
      type="button"
      className="widget-arrow"
      tabIndex={-1}
      aria-label={label}
      onClick={onPress}
    >
      {children}
    </button>
  )
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

type ChoiceControl = Extract<WidgetControl, { kind: 'choice' }>

function ChoiceField(props: FieldProps<ChoiceControl>) {
  const { name, label, value, control, isReadOnly, problem, onChange } = props
  const { pick } = useEditorContext()
  const isGone = !control.options.includes(value as JsonValue)
  return (
    <div className="widget-choice">
      <button
        type="button"
        className={`widget-line ${OWN}`}
        data-wrong={isGone || problem !== undefined}
        aria-haspopup="dialog"
        title={isGone ? `${textOf(value)} is not here` : textOf(value)}
        disabled={isReadOnly}
        onClick={({ currentTarget }) => {
          const { left, bottom } = currentTarget.getBoundingClientRect()
          pick({
            label,
            at: { x: left, y: bottom + 4 },
            current: textOf(value),
            choices: control.options.map((option) => ({
              id: textOf(option),
              label: textOf(option),
            })),
            onChoose: (id) => {
              onChange(control.options.find((option) => textOf(option) === id) ?? id)
              currentTarget.focus()
            },
            onCancel: () => currentTarget.focus(),
          })
        }}
      >
        <span>{name}</span> <span>{textOf(value)}</span>{' '}
        <span className="visually-hidden">, {label}</span>
        <IconChevronDown size={12} aria-hidden="true" />
      </button>
      {control.takesPictures && !isReadOnly && <PictureButton {...props} />}
    </div>
  )
}

/** Brings a picture of this computer into the input folder. */
function PictureButton({ label, onChange }: FieldProps<ChoiceControl>) {
  const queries = useQueryClient()
  const input = useRef<HTMLInputElement>(null)
  const [problem, setProblem] = useState<string>()
  const bring = async (file: File | undefined) => {
    if (file === undefined) return
    setProblem(undefined)
    try {
      const name = await uploadPicture(file)
      await queries.invalidateQueries({ queryKey: ['node definitions'] })
      onChange(name)
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  return (
    <>
      <button
        type="button"
        className={`widget-line widget-upload ${OWN}`}
        onClick={() => input.current?.click()}
      >
        <IconPhotoPlus size={14} aria-hidden="true" />
        <span>Choose a picture</span>
      </button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        aria-label={`Picture for ${label}`}
        onChange={({ currentTarget }) => void bring(currentTarget.files?.[0])}
      />
      {problem && <p className="widget-problem">{problem}</p>}
    </>
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
