/** Addresses of peers as users write them. */
import t from 'tap'
import { doorPortBeside, parsePeerAddress } from '../../src/mesh/peer-address.ts'

t.test('hosts, ports and multiaddrs', async (t) => {
  const cases: [string, string | undefined][] = [
    ['192.168.1.7', '192.168.1.7 8289'],
    ['192.168.1.7:9000', '192.168.1.7 9000'],
    ['studio-pc', 'studio-pc 8289'],
    ['studio-pc.lan:1', 'studio-pc.lan 1'],
    ['fd00::7', 'fd00::7 8289'],
    ['[fd00::7]:9000', 'fd00::7 9000'],
    ['/ip4/10.0.0.1/tcp/9000', '10.0.0.1 9000'],
    ['/dns4/pc.lan/tcp/9000/p2p/12D3KooWabc', 'pc.lan 9000'],
    ['/ip4/10.0.0.1/udp/9000', undefined],
    ['pc:0', undefined],
    ['pc:70000', undefined],
    ['[nonsense]:1', undefined],
    ['http://pc', undefined],
    ['', undefined],
  ]
  for (const [text, expected] of cases) {
    const address = parsePeerAddress(text)
    t.equal(address && `${address.host} ${address.port}`, expected, text)
  }
})

t.test('the door is beside the port', async (t) => {
  t.equal(doorPortBeside(8289), 8290)
  t.equal(doorPortBeside(65_535), 65_534)
})
