/** What every control of a widget is given. */
import type { JsonValue } from '@comfymesh/protocol/json'

export interface FieldProps<Control> {
  readonly name: string
  readonly label: string
  readonly value: JsonValue | undefined
  readonly control: Control
  readonly isReadOnly: boolean
  readonly problem: string | undefined
  readonly onChange: (value: JsonValue) => void
}

/** Keys and pointers of a field are its own, not the canvas's. */
export const OWN = 'nodrag nopan nokey'

/** A value in a line. */
export const textOf = (value: JsonValue | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'object' ? '…' : String(value)
