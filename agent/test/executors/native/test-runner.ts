/** The runner's program with the test rows in it. */
import { serveStages } from '../../../src/executors/native/runner-service.ts'
import { testRows } from './test-rows.ts'

serveStages(testRows)
