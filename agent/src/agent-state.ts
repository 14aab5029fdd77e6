/** What an agent says of itself: how it is reached, and where its files lie. */
import { arch, networkInterfaces, platform } from 'node:os'
import type { AgentState } from '@comfymesh/protocol/agent-state'
import type { AgentSettings } from './agent.ts'
import { version } from './base/version.ts'
import { isLoopback } from './gateway/edge.ts'
import { reachableAddresses } from './mesh/interfaces.ts'

/** @param url where this machine reaches it; known once it listens. */
export function createAgentState(
  settings: AgentSettings,
  modules: {
    readonly url: () => string
    readonly asksForToken: boolean
    readonly now: () => number
  },
): () => AgentState {
  const startedAtMs = modules.now()
  return () => ({
    name: settings.name,
    version,
    node: process.versions.node,
    platform: `${platform()} ${arch()}`,
    startedAtMs,
    url: modules.url(),
    isOpenToOthers: isOpen(settings),
    addresses: addressesOf(settings, modules.url()),
    asksForToken: modules.asksForToken,
    logLevel: settings.logLevel ?? 'info',
    folders: foldersOf(settings),
  })
}

function isOpen({ host, allowedHosts = [] }: AgentSettings): boolean {
  return !isLoopback(host) || allowedHosts.length > 0
}

/** Names of proxies first: whoever set them wants them used. */
function addressesOf(settings: AgentSettings, url: string): string[] {
  const { host, allowedHosts = [] } = settings
  const named = allowedHosts.map((name) => `http://${name}`)
  if (isLoopback(host)) return named
  const { port } = new URL(url)
  const isEverywhere = host === '0.0.0.0' || host === '::'
  const hosts = isEverywhere
    ? reachableAddresses(networkInterfaces()).map(({ address }) => address)
    : [host]
  return [...named, ...hosts.map((one) => `http://${one.includes(':') ? `[${one}]` : one}:${port}`)]
}

function foldersOf({ dataDir, userDir, folders, frontend }: AgentSettings): AgentState['folders'] {
  const models = [...new Set(folders.models.checkpoints ?? [])]
  return [
    ...models.map((path) => ({ what: 'Checkpoints', path })),
    { what: 'Pictures', path: folders.output },
    { what: 'Input', path: folders.input },
    { what: 'Workflows and settings', path: userDir },
    { what: 'Data', path: dataDir },
    ...(frontend === undefined ? [] : [{ what: 'ComfyUI frontend', path: frontend }]),
  ]
}
