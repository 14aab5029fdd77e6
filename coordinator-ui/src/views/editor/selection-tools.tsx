/** What can be done to the selected nodes, above them. */
import { ActionIcon, Menu, Tooltip } from '@mantine/core'
import {
  IconArrowBarToRight,
  IconBorderOuter,
  IconCopy,
  IconGridDots,
  IconMinimize,
  IconPalette,
  IconTrash,
  IconVolumeOff,
} from '@tabler/icons-react'
import { NodeToolbar, Position } from '@xyflow/react'
import type { ReactNode } from 'react'
import { nodeColours } from '../../state/editor/colours.ts'
import { type Actions, useActions } from './actions.ts'
import { useSelectedIds } from './use-selection.ts'

export function SelectionTools() {
  const ids = useSelectedIds()
  const actions = useActions()
  if (ids.size === 0) return null
  return (
    <NodeToolbar nodeId={[...ids]} isVisible position={Position.Top} offset={8}>
      <div className="selection-tools" role="toolbar" aria-label="Selected nodes">
        <Tool label="Mute (Ctrl M)" onPress={actions.mute}>
          <IconVolumeOff size={16} />
        </Tool>
        <Tool label="Bypass (Ctrl B)" onPress={actions.bypass}>
          <IconArrowBarToRight size={16} />
        </Tool>
        <Tool label="Collapse (Alt C)" onPress={actions.collapse}>
          <IconMinimize size={16} />
        </Tool>
        <Colours onChoose={actions.colour} />
        <Tool label="Duplicate (Ctrl D)" onPress={actions.duplicate}>
          <IconCopy size={16} />
        </Tool>
        <Tool label="Frame (Ctrl G)" onPress={actions.group}>
          <IconBorderOuter size={16} />
        </Tool>
        <Tool label="Align to the grid" onPress={actions.align}>
          <IconGridDots size={16} />
        </Tool>
        <Tool label="Take away (Delete)" onPress={actions.remove}>
          <IconTrash size={16} />
        </Tool>
      </div>
    </NodeToolbar>
  )
}

interface ToolProps {
  readonly label: string
  readonly onPress: () => void
  readonly children: ReactNode
}

function Tool({ label, onPress, children }: ToolProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={onPress}>
        {children}
      </ActionIcon>
    </Tooltip>
  )
}

function Colours({ onChoose }: { readonly onChoose: Actions['colour'] }) {
  return (
    <Menu position="bottom" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Colour" title="Colour">
          <IconPalette size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onChoose(undefined)}>no colour</Menu.Item>
        {Object.entries(nodeColours).map(([name, colour]) => (
          <Menu.Item
            key={name}
            leftSection={<span className="swatch" style={{ background: colour.bgcolor }} />}
            onClick={() => onChoose(colour)}
          >
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
