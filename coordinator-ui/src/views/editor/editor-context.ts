/** What the parts of the editor share: the definitions, and the list that something is chosen from. */
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { createContext, useContext } from 'react'
import type { Choice } from '../../state/editor/search.ts'

/** A list to choose from, beside what it was opened at. */
export interface PickerRequest {
  readonly label: string
  readonly choices: readonly Choice[]
  /** Of the page; the list opens below. */
  readonly at: { readonly x: number; readonly y: number }
  /** The choice that is current. */
  readonly current?: string
  readonly onChoose: (id: string) => void
  /** Nothing was chosen. */
  readonly onCancel?: () => void
}

export interface EditorContextValue {
  readonly definitions: NodeDefinitions
  /** Phones look; editing takes a larger screen. */
  readonly isReadOnly: boolean
  readonly pick: (request: PickerRequest) => void
}

export const EditorContext = createContext<EditorContextValue | undefined>(undefined)

export function useEditorContext(): EditorContextValue {
  const value = useContext(EditorContext)
  if (value === undefined) throw new Error('only inside of the editor')
  return value
}
