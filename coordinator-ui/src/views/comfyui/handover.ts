/**
 * A saved workflow goes to the official frontend, which shows itself to its extensions as
 * `window.app`. What is used of it has been there from 1.27 to 1.58; where it is not, the frontend is
 * just open, with the workflow in its list.
 */
import { createStore } from '../../state/store.ts'

/** The workflow that is to be opened in the frontend, by its name in the user's folder. */
export const handover = createStore<string | undefined>(undefined)

interface FrontendWorkflow {
  readonly activeState: unknown
  load(): Promise<unknown>
}

interface Frontend {
  readonly extensionManager?: {
    readonly workflow?: {
      /** There once the frontend has opened what was open in it last. */
      readonly activeWorkflow?: unknown
      syncWorkflows(): Promise<void>
      getWorkflowByPath(path: string): FrontendWorkflow | null
    }
  }
  loadGraphData(graph: unknown, isNew: boolean, view: boolean, of: FrontendWorkflow): Promise<void>
}

const LOOK_AGAIN_MS = 250

/** Waits for the frontend, as long as its frame is shown. */
export async function openInFrontend(
  frame: HTMLIFrameElement,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const app = await readyFrontend(frame, signal)
  const workflows = app?.extensionManager?.workflow
  if (app === undefined || workflows === undefined) return
  await workflows.syncWorkflows()
  const workflow = workflows.getWorkflowByPath(`workflows/${name}.json`)
  if (workflow === null) return
  await workflow.load()
  await app.loadGraphData(workflow.activeState, true, true, workflow)
}

async function readyFrontend(
  frame: HTMLIFrameElement,
  signal: AbortSignal,
): Promise<Frontend | undefined> {
  while (!signal.aborted) {
    const { app } = (frame.contentWindow ?? {}) as { readonly app?: Frontend }
    if (app?.extensionManager?.workflow?.activeWorkflow) return app
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
  return undefined
}
