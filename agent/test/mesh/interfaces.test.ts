/** Which addresses of a machine others may use. */
import type { NetworkInterfaceInfo } from 'node:os'
import t from 'tap'
import { announcedInterfaces, reachableAddresses } from '../../src/mesh/interfaces.ts'

function ip(address: string, internal = false): NetworkInterfaceInfo {
  const family = address.includes(':') ? 'IPv6' : 'IPv4'
  return { address, internal, family, netmask: '', mac: '', cidr: null } as NetworkInterfaceInfo
}

const loopback = { lo: [ip('127.0.0.1', true), ip('::1', true)] }
const hosts = (list: readonly { readonly address: string }[]) => list.map(({ address }) => address)

t.test('the LAN comes first, tunnels last, containers and loopback not at all', async (t) => {
  const interfaces = {
    ...loopback,
    tailscale0: [ip('100.64.0.9')],
    docker0: [ip('172.17.0.1')],
    'br-0a1b2c3d4e5f': [ip('172.18.0.1')],
    'vEthernet (WSL (Hyper-V firewall))': [ip('172.30.0.1')],
    eth0: [ip('192.168.1.7'), ip('fe80::1'), ip('fd00::7')],
    wlan0: [ip('10.0.0.7')],
  }
  t.strictSame(hosts(reachableAddresses(interfaces)), [
    '192.168.1.7',
    '10.0.0.7',
    'fd00::7',
    '100.64.0.9',
  ])
  t.strictSame(hosts(announcedInterfaces(interfaces)), ['192.168.1.7', '10.0.0.7'])
})

t.test('a machine without a network has its loopback', async (t) => {
  t.strictSame(hosts(reachableAddresses(loopback)), ['127.0.0.1', '::1'])
  t.strictSame(hosts(announcedInterfaces(loopback)), ['127.0.0.1'])
})

t.test('with a tunnel alone, agents of this machine still find each other', async (t) => {
  const interfaces = { ...loopback, wg0: [ip('10.8.0.2')], docker0: [ip('172.17.0.1')] }
  t.strictSame(hosts(reachableAddresses(interfaces)), ['10.8.0.2'])
  t.strictSame(hosts(announcedInterfaces(interfaces)), ['127.0.0.1'])
})

t.test('nothing is nothing', async (t) => {
  t.strictSame(reachableAddresses({}), [])
  t.strictSame(announcedInterfaces({}), [])
})
