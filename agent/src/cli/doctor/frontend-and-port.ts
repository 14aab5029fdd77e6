/** Whether the agent gets its port, and where its frontend is. */
import { createServer } from 'node:net'
import type { AgentSettings } from '../../agent.ts'
import type { Finding } from '../../doctor/finding.ts'
import { frontendFolder } from '../../gateway/frontend-folder.ts'
import { seekAgent } from '../agent-access.ts'
import type { LoadedSettings } from '../settings.ts'

export async function checkFrontend({ frontend }: AgentSettings): Promise<Finding[]> {
  if (frontend === undefined) return []
  try {
    const folder = frontendFolder(frontend)
    return [{ check: 'Frontend', state: 'ok', message: folder, data: { folder } }]
  } catch (error) {
    const { message } = error as Error
    return [{ check: 'Frontend', state: 'problem', message, data: { folder: frontend } }]
  }
}

export async function checkPort(settings: LoadedSettings): Promise<Finding[]> {
  const { host } = settings
  const sought = await seekAgent(settings)
  if (sought.agent !== undefined) {
    const { url } = sought.agent
    const port = Number(new URL(url).port)
    const message = `an agent (${sought.health.version}) is running at ${url}`
    return [{ check: 'Port', state: 'ok', message, data: { port, running: true } }]
  }
  const { port } = settings
  const data = { port, running: false }
  const code = await listeningError(host, port)
  if (code === undefined) return [{ check: 'Port', state: 'ok', message: `${port} is free`, data }]
  const message =
    code === 'EADDRINUSE'
      ? `${port} is taken by another program`
      : `${host}:${port} cannot be listened on (${code})`
  const advice = 'Choose another with --port or --host.'
  return [{ check: 'Port', state: 'problem', message, advice, data }]
}

function listeningError(host: string, port: number): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
