/** What the run has come to, in words: progress with a way to stop it, or what is wrong and where. */
import { isFinished } from '@comfymesh/protocol/job'
import { Alert, Button, Group, Progress, Text } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useReactFlow } from '@xyflow/react'
import { cancelJobs } from '../../api/queue.ts'
import { currentDocument, lookInto } from '../../state/editor/editor.ts'
import { viewById } from '../../state/editor/node-view.ts'
import { graphAt } from '../../state/editor/open-graph.ts'
import { placeOf } from '../../state/editor/prompt-places.ts'
import type { NodeProblem } from '../../state/problems.ts'
import { progressOf } from '../../state/progress.ts'
import { tookText } from '../../state/settings-line.ts'
import { useEditorContext } from './editor-context.ts'
import { useProblems, useRun } from './use-node-data.ts'
import { useSelection } from './use-selection.ts'

export function RunPanel() {
  const problems = useProblems()
  const isWrong = problems.nodes.length + problems.general.length > 0
  return (
    <div className="editor-run" aria-live="polite">
      {isWrong ? <Problems {...problems} /> : <Run />}
    </div>
  )
}

function Run() {
  const run = useRun()
  const cancel = useMutation({ mutationFn: (id: string) => cancelJobs([id]) })
  if (run === undefined) return null
  if (isFinished(run)) {
    const word = run.status === 'interrupted' ? 'Cancelled' : 'Done'
    return (
      <Text size="sm" className="editor-run-line">
        {[word, tookText(run)].filter(Boolean).join(' in ')}
      </Text>
    )
  }
  const { share, text } = progressOf(run)
  return (
    <Group className="editor-run-line" wrap="nowrap">
      <div style={{ flex: 1 }}>
        <Text size="sm">{text}</Text>
        <Progress value={share * 100} mt={4} aria-label="Progress" transitionDuration={120} />
      </div>
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<IconX size={14} />}
        loading={cancel.isPending}
        onClick={() => cancel.mutate(run.request.id)}
      >
        Cancel
      </Button>
    </Group>
  )
}

interface ProblemsProps {
  readonly nodes: readonly NodeProblem[]
  readonly general: readonly string[]
}

function Problems({ nodes, general }: ProblemsProps) {
  const { definitions } = useEditorContext()
  const { fitView } = useReactFlow()
  const { select } = useSelection()
  const { workflow } = currentDocument()
  const titleOf = (promptId: string) => {
    const { path, id } = placeOf(workflow, promptId)
    return viewById(graphAt(workflow, path), id, definitions)?.title ?? `Node ${promptId}`
  }
  const show = (promptId: string) => {
    const { path, id } = placeOf(workflow, promptId)
    lookInto(path)
    select(new Set([id]))
    void fitView({ nodes: [{ id }], maxZoom: 1, duration: 300 })
  }
  return (
    <Alert color="red" role="alert" title="It cannot run" className="editor-problems">
      {general.map((text) => (
        <Text size="sm" key={text}>
          {text}
        </Text>
      ))}
      {nodes.map(({ nodeId, input, text }) => (
        <button
          type="button"
          className="problem"
          key={`${nodeId} ${input} ${text}`}
          onClick={() => show(nodeId)}
        >
          <b>{titleOf(nodeId)}</b>
          {input && ` · ${input}`}: {text}
        </button>
      ))}
    </Alert>
  )
}
