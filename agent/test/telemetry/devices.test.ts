/** What the makers' tools say, and what this machine says of itself. */
import { totalmem } from 'node:os'
import t from 'tap'
import { createDeviceReader, parseNvidiaSmi, parseRocmSmi } from '../../src/telemetry/devices.ts'

const MIB = 2 ** 20

t.test('nvidia-smi', async (t) => {
  const said =
    'NVIDIA GeForce RTX 3060, 12288, 11021, 35, 61\nNVIDIA H200, 143771, [N/A], [N/A], 30\n\n'
  t.strictSame(parseNvidiaSmi(said), [
    {
      name: 'NVIDIA GeForce RTX 3060',
      kind: 'gpu',
      totalBytes: 12288 * MIB,
      freeBytes: 11021 * MIB,
      utilisationPercent: 35,
      temperatureCelsius: 61,
    },
    { name: 'NVIDIA H200', kind: 'gpu', totalBytes: 143771 * MIB, temperatureCelsius: 30 },
  ])
  t.strictSame(parseNvidiaSmi('No devices were found\n'), [])
  t.strictSame(parseNvidiaSmi('NVIDIA GB10, [N/A], [N/A], 0, 40\n'), [], 'memory that nobody tells')
})

t.test('rocm-smi', async (t) => {
  const said = JSON.stringify({
    card0: {
      'Card Series': 'Radeon RX 7900 XTX',
      'VRAM Total Memory (B)': '25753026560',
      'VRAM Total Used Memory (B)': '1000000',
      'GPU use (%)': '12',
      'Temperature (Sensor edge) (C)': '45.0',
    },
    card1: { 'VRAM Total Memory (B)': '4294967296' },
    system: { 'Driver version': '6.7' },
  })
  t.strictSame(parseRocmSmi(said), [
    {
      name: 'Radeon RX 7900 XTX',
      kind: 'gpu',
      totalBytes: 25753026560,
      freeBytes: 25752026560,
      utilisationPercent: 12,
      temperatureCelsius: 45,
    },
    { name: 'AMD GPU', kind: 'gpu', totalBytes: 4294967296 },
  ])
  t.strictSame(parseRocmSmi('WARNING: no card'), [])
})

t.test('the processor is always there', async (t) => {
  const reader = createDeviceReader()
  const devices = await reader.read()
  t.match(devices.at(-1), { kind: 'cpu', totalBytes: totalmem() })
  t.ok(devices.every(({ name, totalBytes }) => name !== '' && totalBytes > 0))
  t.equal((await reader.read()).length, devices.length)
})
