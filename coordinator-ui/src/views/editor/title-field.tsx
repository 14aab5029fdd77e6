/** A title that is changed by a double click, or by F2 on what it is the title of. */
import { useState } from 'react'

export interface TitleFieldProps {
  readonly title: string
  readonly label: string
  readonly isReadOnly: boolean
  readonly onChange: (title: string) => void
}

/** What F2 looks for inside of a node. */
export const RENAME = 'comfymesh-rename'

export function TitleField({ title, label, isReadOnly, onChange }: TitleFieldProps) {
  const [typed, setTyped] = useState<string>()
  if (typed === undefined) {
    const start = () => {
      if (!isReadOnly) setTyped(title)
    }
    return (
      // biome-ignore lint/a11y/noStaticElementInteractions: F2 does the same
      <span
        className="title-text"
        title={title}
        data-renames
        onDoubleClick={(event) => {
          event.stopPropagation()
          start()
        }}
        ref={(element) => {
          element?.addEventListener(RENAME, start)
          return () => element?.removeEventListener(RENAME, start)
        }}
      >
        {title}
      </span>
    )
  }
  const commit = () => {
    setTyped(undefined)
    if (typed !== title) onChange(typed.trim())
  }
  return (
    <input
      className="title-input nodrag nopan nokey"
      // biome-ignore lint/a11y/noAutofocus: the user asked to type here
      autoFocus
      aria-label={label}
      value={typed}
      onChange={({ currentTarget }) => setTyped(currentTarget.value)}
      onFocus={({ currentTarget }) => currentTarget.select()}
      onBlur={commit}
      onKeyDown={(event) => {
        event.stopPropagation()
        if (event.key === 'Enter') commit()
        if (event.key === 'Escape') setTyped(undefined)
      }}
    />
  )
}
