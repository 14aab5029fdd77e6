/** A list that is searched by typing: nodes to add, options of a widget, workflows to open. */
import { useEffect, useId, useRef, useState } from 'react'
import { type Choice, search } from '../../state/editor/search.ts'
import type { PickerRequest } from './editor-context.ts'

/** Beyond this nobody reads; a letter more finds it. */
const MOST_SHOWN = 60
const WIDTH = 360
const HEIGHT = 380

export interface PickerProps {
  readonly request: PickerRequest
  readonly onClose: () => void
}

export function Picker({ request, onClose }: PickerProps) {
  const { label, choices, at, current, onChoose, onCancel } = request
  const [typed, setTyped] = useState('')
  const [marked, setMarked] = useState<string | undefined>(current)
  const list = useId()
  const found = search(choices, typed)
  const shown = withCurrent(found, typed === '' ? current : undefined)
  const index = Math.max(
    0,
    shown.findIndex(({ id }) => id === marked),
  )
  const cancel = () => {
    onCancel?.()
    onClose()
  }
  const choose = (choice: Choice | undefined) => {
    if (choice === undefined) return
    onClose()
    onChoose(choice.id)
  }
  const move = (by: number) => {
    const next = shown[(index + by + shown.length) % Math.max(1, shown.length)]
    setMarked(next?.id)
  }
  const optionId = (choice: Choice | undefined) => choice && `${list}-${shown.indexOf(choice)}`

  return (
    <>
      <div className="picker-back" role="presentation" onPointerDown={cancel} />
      <div className="picker" role="dialog" aria-label={label} style={placeFor(at)}>
        <input
          // biome-ignore lint/a11y/noAutofocus: it was opened to be typed into
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={optionId(shown[index])}
          aria-label={label}
          placeholder={label}
          value={typed}
          onChange={({ currentTarget }) => {
            setTyped(currentTarget.value)
            setMarked(undefined)
          }}
          onKeyDown={(event) => {
            event.stopPropagation()
            if (event.key === 'ArrowDown') move(1)
            else if (event.key === 'ArrowUp') move(-1)
            else if (event.key === 'Enter') choose(shown[index])
            else if (event.key === 'Escape') cancel()
            else if (event.key === 'Tab') cancel()
            else return
            event.preventDefault()
          }}
        />
        {shown.length === 0 && <p className="picker-nothing">Nothing has that name.</p>}
        <div id={list} role="listbox" aria-label={label} className="picker-list">
          {shown.map((choice, at) => (
            <Option
              key={choice.id}
              id={`${list}-${at}`}
              choice={choice}
              isMarked={at === index}
              isCurrent={choice.id === current}
              onChoose={() => choose(choice)}
            />
          ))}
        </div>
        {found.length > MOST_SHOWN && (
          <p className="picker-nothing">{found.length - MOST_SHOWN} more: type to find them.</p>
        )}
      </div>
    </>
  )
}

/** The first ones, and the current one, wherever it stands. */
function withCurrent(found: readonly Choice[], current: string | undefined): Choice[] {
  const first = found.slice(0, MOST_SHOWN)
  const late = found.slice(MOST_SHOWN).find(({ id }) => id === current)
  return late === undefined ? first : [late, ...first]
}

function placeFor({ x, y }: PickerRequest['at']) {
  const left = Math.max(8, Math.min(x, window.innerWidth - WIDTH - 8))
  const top = Math.max(8, Math.min(y, window.innerHeight - HEIGHT - 8))
  return { left, top, width: Math.min(WIDTH, window.innerWidth - 16), maxHeight: HEIGHT }
}

interface OptionProps {
  readonly id: string
  readonly choice: Choice
  readonly isMarked: boolean
  readonly isCurrent: boolean
  readonly onChoose: () => void
}

function Option({ id, choice, isMarked, isCurrent, onChoose }: OptionProps) {
  const element = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (isMarked) element.current?.scrollIntoView({ block: 'nearest' })
  }, [isMarked])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the focus and its keys
    <div
      ref={element}
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={isMarked}
      className="picker-option"
      data-current={isCurrent}
      onClick={onChoose}
    >
      <span>{choice.label}</span>
      {choice.detail && <small>{choice.detail}</small>}
    </div>
  )
}
