import t from 'tap'
import { diedRunning, type RunnerExit } from '../../../src/executors/native/runner-exit.ts'

const node = { id: '3', classType: 'KSampler', inputs: {}, signature: '' }
const killed: RunnerExit = { code: null, signal: 'SIGKILL', lastLines: ['loading'] }

t.test('a runner that was killed says whether memory was the reason', async (t) => {
  const messageOf = (memoryRanOut?: boolean) => diedRunning(killed, node, memoryRanOut).message
  t.match(messageOf(true), /node 3 \(KSampler\).*SIGKILL.*ran out of memory and killed it.*smaller/)
  t.match(messageOf(), /may have run out of memory/)
  t.match(messageOf(false), /Another program killed it/)
})

t.test('a runner that gave up for lack of memory says so', async (t) => {
  const lastLines = [
    '<--- Last few GCs --->',
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    '----- Native stack trace -----',
  ]
  const error = diedRunning({ code: null, signal: 'SIGABRT', lastLines }, undefined, false)
  t.match(error, { code: 'runner_died', message: /heap out of memory.*It ran out of memory: try/ })
})

t.test('other ends advise what helps', async (t) => {
  const messageOf = (signal: NodeJS.Signals) =>
    diedRunning({ code: null, signal, lastLines: [] }, node, false).message
  t.match(messageOf('SIGBUS'), /model file changed/)
  t.match(messageOf('SIGSEGV'), /COMFYMESH_PROVIDER=cpu/)
})
