/**
 * The program of the runner, the child process that owns the model sessions:
 * onnxruntime blocks the event loop while it computes and a truncated model file
 * kills the process that maps it, so neither may happen in the agent itself.
 */
import { nodeRows } from './nodes/index.ts'
import { serveStages } from './runner-service.ts'

serveStages(nodeRows)
