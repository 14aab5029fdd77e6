/** One agent of the built program for the tests of a file that do not need a new one each. */
import type { Test } from 'tap'
import { type BuiltAgent, testBuiltAgent } from './built-agent.ts'
import { ask } from './test-agent.ts'

/**
 * The agent starts when it is first asked for, and is gone with the tests of `t`.
 * @returns gives it, idle: it remembers no job, no result and no model, and its queue is not paused.
 *   Files stay, and what was set.
 */
export function sharedAgent(t: Test): () => Promise<BuiltAgent> {
  let started: Promise<BuiltAgent> | undefined
  return async () => {
    if (started === undefined) {
      started = testBuiltAgent(t)
      return started
    }
    const agent = await started
    await calm(agent)
    return agent
  }
}

async function calm(agent: BuiltAgent): Promise<void> {
  await ask(agent, 'POST', '/v1/queue/clear')
  await ask(agent, 'POST', '/interrupt')
  while (!(await isIdle(agent))) await new Promise((resolve) => setTimeout(resolve, 5))
  await ask(agent, 'POST', '/v1/queue/resume')
  await ask(agent, 'POST', '/history', { clear: true })
  await ask(agent, 'POST', '/free', { free_memory: true })
}

async function isIdle(agent: BuiltAgent): Promise<boolean> {
  const { body } = await ask(agent, 'GET', '/v1/queue')
  return body.queued === 0 && body.running === 0
}
