/** A runner whose graphics driver ends the process when it is touched. */
import type { Commands, Message } from '../../../src/executors/native/runner-messages.ts'
import { createReportSender } from '../../../src/executors/native/runner-reports.ts'
import type { ProviderReport } from '../../../src/executors/native/sessions/settings.ts'

const send = createReportSender()

function configure(known: readonly ProviderReport[]): void {
  for (const report of known) send({ type: 'tested', report })
  if (!known.some(({ name }) => name === 'cuda')) {
    send({ type: 'testing', provider: 'cuda' })
    console.error('driver assertion failed')
    setImmediate(() => process.kill(process.pid, 'SIGKILL'))
    return
  }
  const cpu = { name: 'cpu', ok: true, fusedAttention: true, halfPrecision: false } as const
  send({ type: 'testing', provider: 'cpu' })
  send({ type: 'tested', report: cpu })
  send({ type: 'ready' })
}

process.on('message', (message: Message<Commands>) => {
  if (message.type === 'configure') configure(message.configuration.providers.known)
  if (message.type === 'run') {
    send({
      type: 'finished',
      run: message.run,
      result: { provider: 'cpu', sessionMs: 1, values: [] },
    })
  }
})
process.on('disconnect', () => process.exit(0))
