/** What is shown of a node besides the drawing: its run, the machine, the picture so far. */
import { isFinished, type JobState } from '@comfymesh/protocol/job'
import { useQuery } from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { readPeers } from '../../api/mesh.ts'
import { jobs, preview } from '../../state/agent.ts'
import { editor } from '../../state/editor/editor.ts'
import type { NodeView } from '../../state/editor/node-view.ts'
import { drawnIn } from '../../state/editor/prompt-places.ts'
import { jobProblems, nodeRuns } from '../../state/editor/run-state.ts'
import type { RunProblems } from '../../state/problems.ts'
import { useStore } from '../../state/store.ts'
import type { EditorNodeData } from './editor-node.tsx'

/** The latest run of this page, as far as it is known. */
export function useRun(): JobState | undefined {
  const { jobId } = useStore(editor)
  const all = useStore(jobs)
  return jobId === undefined ? undefined : all.get(jobId)
}

/** What is wrong: with the workflow, as the agent says, or with its run. */
export function useProblems(): RunProblems {
  const { problems } = useStore(editor)
  const run = useRun()
  return useMemo(() => {
    const failed = jobProblems(run)
    return problems.nodes.length + problems.general.length > 0 ? problems : failed
  }, [problems, run])
}

/** What an agent without a mesh calls itself. */
const ALONE = 'local'

export function useNodeData(): (view: NodeView) => EditorNodeData {
  const run = useRun()
  const problems = useProblems()
  const live = useStore(preview)
  const { data: mesh } = useQuery({
    queryKey: ['peers'],
    queryFn: ({ signal }) => readPeers(signal),
    staleTime: 60_000,
    enabled: run?.nodes.some(({ peerId }) => peerId !== '' && peerId !== ALONE) ?? false,
  })
  const { history, path } = useStore(editor)
  const { workflow } = history.present
  const idOf = useMemo(() => drawnIn(workflow, path), [workflow, path])
  const runs = useMemo(() => nodeRuns(run, idOf), [run, idOf])
  const byNode = useMemo(() => {
    const drawn = problems.nodes.map((problem) => ({ problem, id: idOf(problem.nodeId) }))
    return new Map(
      [...new Set(drawn.map(({ id }) => id))].map((id) => [
        id,
        drawn.filter((one) => one.id === id).map(({ problem }) => problem),
      ]),
    )
  }, [problems, idOf])
  // With one machine there is nothing to tell apart.
  const names = useMemo(() => {
    const peers = mesh?.peers ?? []
    return new Map(peers.length > 1 ? peers.map(({ peerId, name }) => [peerId, name]) : [])
  }, [mesh])
  const runningId = run?.nodes.find(({ status }) => status === 'running')?.nodeId
  const running = runningId === undefined ? undefined : idOf(runningId)
  const isLive = run !== undefined && !isFinished(run) && live?.jobId === run.request.id
  const previewUrl = isLive ? live.url : undefined
  return useCallback(
    (view: NodeView): EditorNodeData => {
      const own = runs.get(view.id)
      return {
        view,
        run: own,
        peer: own?.peerId === undefined ? undefined : names.get(own.peerId),
        problems: byNode.get(view.id) ?? noProblems,
        previewUrl: view.id === running ? previewUrl : undefined,
      }
    },
    [runs, names, byNode, running, previewUrl],
  )
}

const noProblems: EditorNodeData['problems'] = []
