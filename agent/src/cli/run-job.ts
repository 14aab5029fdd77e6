/** Runs one prompt on an agent and shows it: what `run` and `demo` have in common. */
import {
  type AgentAddress,
  cancelJob,
  followJob,
  type Submitted,
  submitPrompt,
} from './agent-client.ts'
import { onInterruption } from './interruption.ts'
import { type FollowedJob, type JobTrace, tracedSoFar, traceJob } from './job-trace.ts'
import { createProgressDisplay } from './progress-display.ts'
import { complaintLines } from './refusal.ts'
import { terminalAt } from './terminal.ts'

/**
 * Submits the prompt and follows it to its end, progress on standard error.
 * The first Ctrl-C cancels the job, as do `kill` and a closed terminal; the second ends the program.
 * @throws PromptRefused
 */
export async function runJob(agent: AgentAddress, submitted: Submitted): Promise<FollowedJob> {
  const { prompt } = submitted
  const write = (text: string) => process.stderr.write(text)
  const display = createProgressDisplay(prompt, terminalAt(process.stderr), write)
  let id: string | undefined
  let isCancelled = false
  const cancel = () => {
    if (id === undefined) return
    cancelJob(agent, id).catch((error: Error) => display.say(error.message))
  }
  const stopListening = onInterruption(() => {
    display.say('Cancelling ... (Ctrl-C again to leave at once)')
    isCancelled = true
    cancel()
  })
  try {
    const accepted = await submitPrompt(agent, submitted)
    id = accepted.id
    if (isCancelled) cancel()
    for (const line of complaintLines(accepted.skipped, prompt)) display.say(`Left out: ${line}`)
    let trace: JobTrace = []
    const state = await followJob(agent, id, (current, event) => {
      trace = event === undefined ? tracedSoFar(current) : traceJob(trace, event, current)
      display.update({ state: current, trace }, event)
    })
    return { state, trace }
  } finally {
    stopListening()
    display.close()
  }
}
