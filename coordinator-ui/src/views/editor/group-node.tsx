/** A frame around nodes. Moved by its title, it takes along what stands in it. */
import { useComputedColorScheme } from '@mantine/core'
import type { Node, NodeProps } from '@xyflow/react'
import { memo } from 'react'
import { groundOf } from '../../state/editor/colours.ts'
import { type GroupView, setGroupTitle } from '../../state/editor/edit-nodes.ts'
import { edit } from '../../state/editor/editor.ts'
import { useEditorContext } from './editor-context.ts'
import { TitleField } from './title-field.tsx'

export type GroupNodeData = Node<{ readonly group: GroupView }, 'frame'>

export const GroupNode = memo(({ data: { group } }: NodeProps<GroupNodeData>) => {
  const scheme = useComputedColorScheme('light')
  const { isReadOnly } = useEditorContext()
  const ground = group.colour === undefined ? undefined : groundOf(group.colour, scheme)
  return (
    <div
      className="group-frame"
      style={{ ...group.size, ...(ground && { ['--group-ground' as string]: ground }) }}
    >
      <div className="group-title">
        <TitleField
          title={group.title}
          label="Title of the group"
          isReadOnly={isReadOnly}
          onChange={(title) => edit((workflow) => setGroupTitle(workflow, group.index, title))}
        />
      </div>
    </div>
  )
})
