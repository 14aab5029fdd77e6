/** Above the drawing: its name, what is done to it as a whole, and Run. */
import { ActionIcon, Button, Kbd, Menu, Text, Tooltip } from '@mantine/core'
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconChevronDown,
  IconDeviceFloppy,
  IconDownload,
  IconExternalLink,
  IconFile,
  IconFolderOpen,
  IconGridDots,
  IconKeyboard,
  IconPhoto,
  IconPlayerPlayFilled,
  IconPlus,
  IconUpload,
} from '@tabler/icons-react'
import { useReactFlow } from '@xyflow/react'
import { type ReactNode, useEffect, useRef } from 'react'
import { useHealth } from '../../api/health.ts'
import { listWorkflows } from '../../api/userdata.ts'
import { PlacementButton } from '../../components/placement-button.tsx'
import { ago } from '../../state/duration.ts'
import { editor, redo, undo } from '../../state/editor/editor.ts'
import { isDirty } from '../../state/editor/editor-state.ts'
import { useStore } from '../../state/store.ts'
import { useEditorContext } from './editor-context.ts'
import { useAddNode } from './use-add-node.ts'
import type { Files } from './use-files.ts'
import { useRunWorkflow } from './use-run.ts'
import { shortcuts } from './use-shortcuts.ts'

export interface ToolbarProps {
  readonly files: Files
  readonly isSnapping: boolean
  readonly onSnapping: (isSnapping: boolean) => void
}

export function Toolbar({ files, isSnapping, onSnapping }: ToolbarProps) {
  const { isReadOnly } = useEditorContext()
  const state = useStore(editor)
  const run = useRunWorkflow()
  const { past, future, present } = state.history
  return (
    <div className="editor-bar" role="toolbar" aria-label="Workflow">
      <FileMenu files={files} />
      <Text className="editor-name" size="sm" fw={600} title={present.name}>
        {present.name}
        {isDirty(state) && <span className="editor-dirty" role="img" aria-label="not saved" />}
      </Text>
      {!state.isKept && (
        <Text size="xs" c="red">
          This browser has no room for it. Save it.
        </Text>
      )}
      <span className="editor-bar-gap" />
      {!isReadOnly && (
        <>
          <AddButton />
          <Tool label="Undo (Ctrl Z)" isDisabled={past.length === 0} onPress={undo}>
            <IconArrowBackUp size={18} />
          </Tool>
          <Tool label="Redo (Ctrl Y)" isDisabled={future.length === 0} onPress={redo}>
            <IconArrowForwardUp size={18} />
          </Tool>
          <Tool
            label="Move along a grid"
            isPressed={isSnapping}
            onPress={() => onSnapping(!isSnapping)}
          >
            <IconGridDots size={18} />
          </Tool>
          <Keys />
        </>
      )}
      <PlacementButton />
      <Button
        size="sm"
        loading={run.isPending}
        leftSection={<IconPlayerPlayFilled size={14} />}
        onClick={() => run.mutate()}
      >
        Run
      </Button>
    </div>
  )
}

function FileMenu({ files }: { readonly files: Files }) {
  const { pick, isReadOnly } = useEditorContext()
  const health = useHealth()
  const input = useRef<HTMLInputElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const chooseSaved = async () => {
    const saved = await listWorkflows()
    const { left = 0, bottom = 0 } = button.current?.getBoundingClientRect() ?? {}
    pick({
      label: 'Open a workflow',
      at: { x: left, y: bottom + 4 },
      choices: saved.map(({ name, modifiedAtMs }) => ({
        id: name,
        label: name,
        detail: ago(modifiedAtMs, Date.now()),
      })),
      onChoose: files.open,
    })
  }
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return
      const key = event.key.toLowerCase()
      if (key === 's') files.save()
      else if (key === 'o') void chooseSaved()
      else return
      event.preventDefault()
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  })
  return (
    <>
      <Menu position="bottom-start" withinPortal>
        <Menu.Target>
          <Button
            ref={button}
            size="sm"
            variant="default"
            rightSection={<IconChevronDown size={14} />}
          >
            Workflow
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconFile size={16} />} onClick={files.startNew}>
            New
          </Menu.Item>
          <Menu.Item
            leftSection={<IconFolderOpen size={16} />}
            rightSection={<Kbd size="xs">Ctrl O</Kbd>}
            onClick={() => void chooseSaved()}
          >
            Open…
          </Menu.Item>
          <Menu.Item leftSection={<IconUpload size={16} />} onClick={() => input.current?.click()}>
            Open a file of this computer…
          </Menu.Item>
          <Menu.Divider />
          {!isReadOnly && (
            <>
              <Menu.Item
                leftSection={<IconDeviceFloppy size={16} />}
                rightSection={<Kbd size="xs">Ctrl S</Kbd>}
                onClick={files.save}
              >
                Save
              </Menu.Item>
              <Menu.Item leftSection={<IconDeviceFloppy size={16} />} onClick={files.askForName}>
                Save as…
              </Menu.Item>
            </>
          )}
          <Menu.Item leftSection={<IconDownload size={16} />} onClick={files.download}>
            Download
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconPhoto size={16} />} onClick={files.useInCreate}>
            Use in Create
          </Menu.Item>
          {health?.frontend !== undefined && (
            <Menu.Item leftSection={<IconExternalLink size={16} />} onClick={files.openInComfyui}>
              Open in ComfyUI
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <input
        ref={input}
        type="file"
        accept=".json,application/json,image/png"
        hidden
        aria-label="A workflow of this computer"
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? []
          if (file) files.open(file)
          currentTarget.value = ''
        }}
      />
    </>
  )
}

function AddButton() {
  const { addAt } = useAddNode()
  const { screenToFlowPosition } = useReactFlow()
  return (
    <Button
      size="sm"
      variant="default"
      leftSection={<IconPlus size={16} />}
      onClick={({ currentTarget }) => {
        const { left, bottom } = currentTarget.getBoundingClientRect()
        const middle = { x: window.innerWidth / 2 - 135, y: window.innerHeight / 3 }
        addAt({ x: left, y: bottom + 4 }, screenToFlowPosition(middle))
      }}
    >
      Add a node
    </Button>
  )
}

interface ToolProps {
  readonly label: string
  readonly isDisabled?: boolean
  readonly isPressed?: boolean
  readonly onPress: () => void
  readonly children: ReactNode
}

function Tool({ label, isDisabled = false, isPressed, onPress, children }: ToolProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        size={36}
        variant={isPressed ? 'light' : 'subtle'}
        color={isPressed ? 'indigo' : 'gray'}
        aria-label={label}
        {...(isPressed !== undefined && { 'aria-pressed': isPressed })}
        disabled={isDisabled}
        onClick={onPress}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  )
}

function Keys() {
  return (
    <Menu position="bottom-end" withinPortal width={340}>
      <Menu.Target>
        <ActionIcon size={36} variant="subtle" color="gray" aria-label="Keys" title="Keys">
          <IconKeyboard size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {shortcuts.map(({ keys, does }) => (
          <Menu.Item key={keys} rightSection={<Kbd size="xs">{keys}</Kbd>}>
            {does}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
