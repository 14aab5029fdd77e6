/** The runner's program with the test rows in it, and their clock. */
import { serveStages } from '../../../src/executors/native/runner-service.ts'
import { clock, testRows } from './test-rows.ts'

serveStages(testRows, () => clock.ms)
