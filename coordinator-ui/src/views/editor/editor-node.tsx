/** A node: title, sockets, widgets, and what its run has come to. */
import { useComputedColorScheme } from '@mantine/core'
import {
  IconAlertTriangle,
  IconChevronDown,
  IconChevronRight,
  IconZoomIn,
} from '@tabler/icons-react'
import { type Node, type NodeProps, NodeResizeControl, useUpdateNodeInternals } from '@xyflow/react'
import { memo, useEffect } from 'react'
import { fileUrl } from '../../api/comfyui.ts'
import { groundOf } from '../../state/editor/colours.ts'
import { resizeNode, setTitle, toggleCollapsed } from '../../state/editor/edit-nodes.ts'
import { edit, lookInside } from '../../state/editor/editor.ts'
import { TITLE_HEIGHT } from '../../state/editor/new-node.ts'
import { allInputs } from '../../state/editor/node-parts.ts'
import type { NodeView } from '../../state/editor/node-view.ts'
import type { NodeRun } from '../../state/editor/run-state.ts'
import type { NodeProblem } from '../../state/problems.ts'
import { useEditorContext } from './editor-context.ts'
import { HiddenSockets, Input, Output, WidgetSocket } from './node-sockets.tsx'
import { TitleField } from './title-field.tsx'
import { WidgetField } from './widget-field.tsx'

export interface EditorNodeData extends Record<string, unknown> {
  readonly view: NodeView
  readonly run: NodeRun | undefined
  /** Name of the machine that runs or ran it. */
  readonly peer: string | undefined
  readonly problems: readonly NodeProblem[]
  /** The work so far, while it runs. */
  readonly previewUrl: string | undefined
}

export type EditorNodeType = Node<EditorNodeData, 'node'>

export const EditorNode = memo(({ data, selected }: NodeProps<EditorNodeType>) => {
  const { view, run, problems } = data
  const scheme = useComputedColorScheme('light')
  const refresh = useUpdateNodeInternals()
  const sockets = `${view.isCollapsed} ${allInputs(view)
    .map(({ key, linkId }) => key + (linkId ?? ''))
    .join()} ${view.outputs.length}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: other sockets stand elsewhere
  useEffect(() => refresh(view.id), [refresh, view.id, sockets])
  const ground = view.colour === undefined ? undefined : groundOf(view.colour, scheme)
  return (
    <div
      className="editor-node"
      data-kind={view.kind}
      data-mode={view.mode}
      data-status={problems.length > 0 ? 'failed' : (run?.status ?? 'idle')}
      data-collapsed={view.isCollapsed}
      style={{ ...(ground && { ['--node-ground' as string]: ground }) }}
    >
      <Title {...data} />
      {run?.status === 'running' && (
        <div className="editor-node-progress" style={{ width: `${run.share * 100}%` }} />
      )}
      {view.isCollapsed ? <HiddenSockets view={view} /> : <Body {...data} />}
      {selected && !view.isCollapsed && view.kind !== 'sockets' && <ResizeCorner view={view} />}
    </div>
  )
})

function Title({ view, run, peer, problems }: EditorNodeData) {
  const { isReadOnly } = useEditorContext()
  const ids = new Set([view.id])
  const Chevron = view.isCollapsed ? IconChevronRight : IconChevronDown
  return (
    <div className="editor-node-title">
      {view.kind !== 'sockets' && (
        <button
          type="button"
          className="collapse-button nodrag"
          aria-label={`${view.isCollapsed ? 'Open' : 'Collapse'} ${view.title}`}
          aria-expanded={!view.isCollapsed}
          disabled={isReadOnly}
          onClick={() => edit((workflow) => toggleCollapsed(workflow, ids))}
        >
          <Chevron size={14} />
        </button>
      )}
      <TitleField
        title={view.title}
        label={`Title of node ${view.id}`}
        isReadOnly={isReadOnly || view.kind === 'sockets'}
        onChange={(title) => edit((workflow) => setTitle(workflow, view.id, title))}
      />
      {view.kind === 'subgraph' && (
        <button
          type="button"
          className="collapse-button nodrag"
          aria-label={`Look inside ${view.title}`}
          title="Look inside"
          onClick={() => lookInside(view.id)}
        >
          <IconZoomIn size={14} />
        </button>
      )}
      {problems.length > 0 && <IconAlertTriangle size={14} aria-label="It has a problem" />}
      <Badge view={view} run={run} peer={peer} />
    </div>
  )
}

/** What else there is to say of a node, in a word. */
function Badge({ view, run, peer }: Pick<EditorNodeData, 'view' | 'run' | 'peer'>) {
  const words = [
    view.mode === 'always' ? undefined : view.mode,
    view.kind === 'unknown' ? 'unknown' : view.kind === 'subgraph' ? 'subgraph' : undefined,
    run?.status === 'running' ? run.text : undefined,
    run?.status === 'cached' ? 'as before' : undefined,
    run === undefined ? undefined : peer,
  ].filter((word) => word !== undefined)
  return words.length === 0 ? null : <small>{words.join(' · ')}</small>
}

function Body({ view, run, problems, previewUrl }: EditorNodeData) {
  const rows = Math.max(view.inputs.length, view.outputs.length)
  const problemOf = (name: string) => problems.find(({ input }) => input === name)?.text
  const isSocket = (name: string) => view.inputs.some((input) => input.name === name)
  return (
    <div className="editor-node-body">
      {view.kind === 'unknown' && (
        <p className="editor-node-note">
          Nobody here has the node {view.type}. It is kept as it is.
        </p>
      )}
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a socket is its place
        <div className="socket-row" key={row}>
          <Input
            view={view}
            input={view.inputs[row]}
            problem={problemOf(view.inputs[row]?.name ?? '')}
          />
          <Output view={view} output={view.outputs[row]} />
        </div>
      ))}
      {view.widgets.map((widget) => (
        <div
          className="widget-row"
          key={widget.name}
          data-grows={widget.control.kind === 'text' && widget.control.isMultiline}
        >
          {widget.input && <WidgetSocket view={view} input={widget.input} />}
          <WidgetField
            nodeId={view.id}
            nodeTitle={view.title}
            widget={widget}
            problem={problemOf(widget.name)}
          />
        </div>
      ))}
      {problems.map(({ input, text }) => (
        <p className="widget-problem" title={text} key={`${input} ${text}`}>
          {input !== undefined && isSocket(input) ? `${input}: ${text}` : text}
        </p>
      ))}
      <Pictures run={run} previewUrl={previewUrl} title={view.title} />
    </div>
  )
}

interface PicturesProps {
  readonly run: NodeRun | undefined
  readonly previewUrl: string | undefined
  readonly title: string
}

function Pictures({ run, previewUrl, title }: PicturesProps) {
  const [picture, ...others] = run?.pictures ?? []
  if (picture === undefined) {
    if (previewUrl === undefined) return null
    return <img className="editor-node-picture" src={previewUrl} alt="The work so far" />
  }
  return (
    <a
      className="editor-node-pictures nodrag"
      data-several={others.length > 0}
      href={fileUrl(picture)}
      target="_blank"
      rel="noreferrer"
    >
      {[picture, ...others].map((one) => (
        <img
          key={one.filename}
          className="editor-node-picture"
          src={fileUrl(one)}
          alt={`${title}: ${one.filename}`}
          draggable={false}
        />
      ))}
    </a>
  )
}

const LEAST_WIDTH = 140

function ResizeCorner({ view }: { readonly view: NodeView }) {
  const { isReadOnly } = useEditorContext()
  if (isReadOnly) return null
  return (
    <NodeResizeControl
      className="editor-node-corner"
      minWidth={LEAST_WIDTH}
      minHeight={TITLE_HEIGHT + 20}
      onResizeEnd={(_, { width, height }) =>
        edit((workflow) => resizeNode(workflow, view.id, { width, height: height - TITLE_HEIGHT }))
      }
    />
  )
}
