/** The keys of the editor: those of ComfyUI where it has one. */
import { useReactFlow } from '@xyflow/react'
import { useEffect, useRef } from 'react'
import { lookOut, redo, undo } from '../../state/editor/editor.ts'
import { useActions } from './actions.ts'
import { useEditorContext } from './editor-context.ts'
import { RENAME } from './title-field.tsx'
import { useAddNode } from './use-add-node.ts'

/** Keys, for the list that the editor shows of them. */
export const shortcuts = [
  { keys: 'Double click, Ctrl Space', does: 'Add a node' },
  { keys: 'Ctrl Enter', does: 'Run' },
  { keys: 'Ctrl Z, Ctrl Y', does: 'Undo, redo' },
  { keys: 'Ctrl C, Ctrl X, Ctrl V', does: 'Copy, cut, paste' },
  { keys: 'Ctrl D', does: 'Duplicate' },
  { keys: 'Ctrl A, Shift drag', does: 'Select all, select a box' },
  { keys: 'Delete', does: 'Take away' },
  { keys: 'Ctrl M, Ctrl B', does: 'Mute, bypass' },
  { keys: 'Alt C', does: 'Collapse' },
  { keys: 'Ctrl G', does: 'Frame around the selected' },
  { keys: 'F2', does: 'Rename' },
  { keys: 'Double click on a link', does: 'A point to lead it around' },
  { keys: 'Double click, Escape', does: 'Into a subgraph, out of it' },
  { keys: 'Ctrl S, Ctrl O', does: 'Save, open' },
  { keys: 'Tab, arrow keys', does: 'Next node, move it' },
  { keys: '.', does: 'Show everything' },
] as const

export function useShortcuts(): void {
  const actions = useActions()
  const { addAt } = useAddNode()
  const { isReadOnly } = useEditorContext()
  const { fitView, screenToFlowPosition } = useReactFlow()
  /** Where the pointer was last, if it was on the canvas: copies come there. */
  const pointer = useRef<{ readonly x: number; readonly y: number }>(undefined)

  useEffect(() => {
    if (isReadOnly) return
    const addInTheMiddle = () => {
      const at = { x: window.innerWidth / 2 - 180, y: window.innerHeight / 3 }
      addAt(at, screenToFlowPosition(at))
    }
    const commands: { readonly [keys: string]: () => void } = {
      'ctrl z': undo,
      'ctrl shift z': redo,
      'ctrl y': redo,
      'ctrl d': actions.duplicate,
      'ctrl a': actions.selectAll,
      'ctrl m': actions.mute,
      'ctrl b': actions.bypass,
      'ctrl g': actions.group,
      'alt c': actions.collapse,
      'ctrl  ': addInTheMiddle,
      delete: actions.remove,
      backspace: actions.remove,
      f2: renameFocused,
      escape: lookOut,
      '.': () => void fitView({ padding: 0.08, maxZoom: 1, duration: 200 }),
    }
    const press = (event: KeyboardEvent) => {
      if (isElsewhere(event.target)) return
      const command = commands[keysOf(event)]
      if (command === undefined) return
      event.preventDefault()
      // The canvas has a meaning of its own for some of them.
      event.stopPropagation()
      command()
    }
    const copy = (event: ClipboardEvent) => {
      const text = isElsewhere(event.target) ? undefined : actions.copy()
      if (text === undefined) return
      event.preventDefault()
      event.clipboardData?.setData('text/plain', text)
      if (event.type === 'cut') actions.remove()
    }
    const paste = (event: ClipboardEvent) => {
      if (isElsewhere(event.target) || event.clipboardData?.files.length) return
      const at = pointer.current && screenToFlowPosition(pointer.current)
      if (actions.paste(event.clipboardData?.getData('text/plain'), at)) event.preventDefault()
    }
    const point = ({ target, clientX: x, clientY: y }: PointerEvent) => {
      const isHere = target instanceof Element && target.closest('.editor-canvas') !== null
      pointer.current = isHere ? { x, y } : undefined
    }
    window.addEventListener('pointermove', point)
    window.addEventListener('keydown', press, true)
    document.addEventListener('copy', copy)
    document.addEventListener('cut', copy)
    document.addEventListener('paste', paste)
    return () => {
      window.removeEventListener('pointermove', point)
      window.removeEventListener('keydown', press, true)
      document.removeEventListener('copy', copy)
      document.removeEventListener('cut', copy)
      document.removeEventListener('paste', paste)
    }
  })
}

function keysOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): string {
  const held = [(ctrlKey || metaKey) && 'ctrl', altKey && 'alt', shiftKey && 'shift']
  return [...held.filter(Boolean), key.toLowerCase()].join(' ')
}

/** Fields and dialogs have keys of their own. */
function isElsewhere(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest(
      '.link-point, input, textarea, select, [contenteditable], [role="dialog"], [role="menu"]',
    ) !== null
  )
}

function renameFocused(): void {
  const node =
    document.activeElement?.closest('.react-flow__node') ??
    document.querySelector('.react-flow__node.selected')
  node?.querySelector('[data-renames]')?.dispatchEvent(new Event(RENAME))
}
