/** What an announcement on the network means for this agent: a peer, a mesh that is ahead, a twin. */
import type { Sighting } from './discovery.ts'
import type { Links } from './links.ts'
import { isBehind, type Standing } from './membership.ts'
import type { Roster } from './roster.ts'
import type { TwinWatch } from './twin.ts'

export interface SightingsModules {
  readonly self: () => Standing & { readonly peerId: string }
  readonly links: Pick<Links, 'sighted'>
  readonly roster: Pick<Roster, 'follow'>
  readonly twins: Pick<TwinWatch, 'sighted'>
}

export function createSightings(modules: SightingsModules): (sighting: Sighting) => void {
  const { links, roster, twins } = modules
  return (sighting) => {
    const self = modules.self()
    if (isBehind(self, sighting)) {
      roster.follow(sighting.hosts.map((host) => ({ host, port: sighting.doorPort })))
    } else if (sighting.meshId !== self.meshId || sighting.fingerprint !== self.fingerprint) {
      return
    } else if (sighting.peerId === self.peerId) twins.sighted(sighting)
    else links.sighted(sighting)
  }
}
