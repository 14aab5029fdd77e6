/** The process that restart.test.ts kills: an agent with an executor of plain test nodes. */
import { startAgent } from '../../src/agent.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createFakeExecutor } from '../fake-executor.ts'
import { testSettings } from '../test-agent.ts'

const [dataDir] = process.argv.slice(2)
const agent = await startAgent(testSettings(dataDir!), {
  executor: createFakeExecutor(),
  log: createLog({ level: 'warn' }),
})
process.send!(agent.url)
// Without its test it has no reason to be.
process.on('disconnect', () => process.exit(1))
