/** A choice inside of a node, by the list that all choices open; pictures may be brought along. */
import type { JsonValue } from '@comfymesh/protocol/json'
import { IconChevronDown, IconPhotoPlus } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { uploadPicture } from '../../api/comfyui.ts'
import type { WidgetControl } from '../../state/editor/widget-control.ts'
import { useEditorContext } from './editor-context.ts'
import { type FieldProps, OWN, textOf } from './field-props.ts'

type ChoiceControl = Extract<WidgetControl, { kind: 'choice' }>

export function ChoiceField(props: FieldProps<ChoiceControl>) {
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
