/** A number inside of a node: typed, or moved by arrows in the steps of its widget. */
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { endStep } from '../../state/editor/editor.ts'
import {
  type DecimalControl,
  type IntegerControl,
  parseNumber,
  steppedNumber,
} from '../../state/editor/widget-control.ts'
import { type FieldProps, OWN, textOf } from './field-props.ts'

export function NumberField({
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
  readonly children: ReactNode
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
