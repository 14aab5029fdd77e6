/** Which of a machine's addresses other machines can use. Pure: the interfaces are passed in. */
import type { NetworkInterfaceInfo } from 'node:os'

export type Interfaces = NodeJS.Dict<readonly NetworkInterfaceInfo[]>

/**
 * `lan`: announced and listened to. `tunnel`: multicast does not cross it, but its addresses may
 * be reached. `loopback`: this machine alone.
 */
export type Reach = 'lan' | 'tunnel' | 'loopback'

export interface LocalAddress {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly reach: Reach
  /** Name of the interface. */
  readonly interfaceName: string
}

/** Bridges and links of containers and virtual machines: the same addresses on every machine. */
const CONTAINERS =
  /^(docker|br-[0-9a-f]{6,}|veth|virbr|vmnet|vboxnet|lxcbr|lxdbr|podman|cni|flannel|cali|vEthernet \((WSL|Default Switch|nat)|VirtualBox|VMware)/i
const TUNNELS = /^(tun|tap|wg|utun|ppp|ipsec|tailscale|zt|nebula|nordlynx|proton|mullvad)/i

function reachOf(name: string, { internal }: NetworkInterfaceInfo): Reach | undefined {
  if (internal) return 'loopback'
  if (CONTAINERS.test(name)) return undefined
  return TUNNELS.test(name) ? 'tunnel' : 'lan'
}

const isLinkLocalIpv6 = (address: string) => /^fe[89ab]/i.test(address)

const ORDER: readonly Reach[] = ['lan', 'tunnel', 'loopback']

/**
 * The addresses under which this machine may be reached, the likeliest first; loopback only where
 * there is nothing else.
 */
export function reachableAddresses(interfaces: Interfaces): LocalAddress[] {
  const all = Object.entries(interfaces).flatMap(([interfaceName, infos]) =>
    (infos ?? []).flatMap((info): LocalAddress[] => {
      const reach = reachOf(interfaceName, info)
      if (reach === undefined || isLinkLocalIpv6(info.address)) return []
      return [{ address: info.address, family: info.family, reach, interfaceName }]
    }),
  )
  const outside = all.filter(({ reach }) => reach !== 'loopback')
  const chosen = outside.length > 0 ? outside : all
  return chosen.toSorted(
    (a, b) => ORDER.indexOf(a.reach) - ORDER.indexOf(b.reach) || a.family.localeCompare(b.family),
  )
}

/** The IPv4 addresses of the interfaces over which this machine announces itself. */
export function announcedInterfaces(interfaces: Interfaces): LocalAddress[] {
  const ipv4 = reachableAddresses(interfaces).filter(({ family }) => family === 'IPv4')
  const multicasting = ipv4.filter(({ reach }) => reach !== 'tunnel')
  const loopback = Object.values(interfaces)
    .flatMap((infos) => infos ?? [])
    .find(({ internal, family }) => internal && family === 'IPv4')
  if (multicasting.length > 0 || loopback === undefined) return multicasting
  // Only tunnels: agents of this machine still find each other.
  return [
    { address: loopback.address, family: 'IPv4', reach: 'loopback', interfaceName: 'loopback' },
  ]
}
