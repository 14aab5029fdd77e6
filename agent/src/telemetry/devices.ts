/**
 * What this machine computes on, as the tools of its makers tell: names, memory, free memory, how busy and how warm they are.
 * Absent tools are normal; then the system itself is asked.
 */
import { execFile } from 'node:child_process'
import { cpus, freemem, totalmem } from 'node:os'
import type { Device } from '@comfymesh/protocol/advertisement'

/** A driver that hangs must not hold up the agent. */
const TOOL_TIMEOUT_MS = 5000
const MIB = 2 ** 20

/** One maker's tool. */
interface Tool {
  readonly command: string
  readonly args: readonly string[]
  readonly parse: (output: string) => Device[]
}

const tools: readonly Tool[] = [
  {
    command: 'nvidia-smi',
    args: [
      '--query-gpu=name,memory.total,memory.free,utilization.gpu,temperature.gpu',
      '--format=csv,noheader,nounits',
    ],
    parse: parseNvidiaSmi,
  },
  {
    command: 'rocm-smi',
    args: ['--showproductname', '--showmeminfo', 'vram', '--showuse', '--showtemp', '--json'],
    parse: parseRocmSmi,
  },
]

export interface DeviceReader {
  /** The devices of this moment: graphics cards first, the processor last. */
  read(): Promise<Device[]>
}

/** Remembers which tools this machine has, so that only those are asked again. */
export function createDeviceReader(): DeviceReader {
  let present: readonly Tool[] = tools
  let others: Promise<Device[]> | undefined
  const processor = createProcessor()
  return {
    async read() {
      const answers = await Promise.all(
        present.map(async (tool) => ({ tool, cards: await ask(tool) })),
      )
      present = answers.flatMap(({ tool, cards }) => (cards === undefined ? [] : [tool]))
      const cards = answers.flatMap((answer) => answer.cards ?? [])
      if (cards.length > 0) return [...cards, processor()]
      // What the system tells of cards does not change while it runs.
      others ??= otherCards()
      return [...(await others), processor()]
    },
  }
}

/** How busy it is, it tells as the mean since it was asked last. */
function createProcessor(): () => Device {
  let before = cpuTimes()
  return () => {
    const now = cpuTimes()
    const [passed, idle] = [now.all - before.all, now.idle - before.idle]
    before = now
    return {
      name: cpus()[0]?.model.trim() || 'CPU',
      kind: 'cpu',
      totalBytes: totalmem(),
      freeBytes: freemem(),
      ...(passed > 0 && { utilisationPercent: Math.round(100 * (1 - idle / passed)) }),
    }
  }
}

function cpuTimes() {
  const times = cpus().map((cpu) => cpu.times)
  const sum = (values: readonly number[]) => values.reduce((total, ms) => total + ms, 0)
  return {
    all: sum(times.map((one) => sum(Object.values(one)))),
    idle: sum(times.map(({ idle }) => idle)),
  }
}

/** @returns undefined where the tool is missing or fails. */
function ask({ command, args, parse }: Tool): Promise<Device[] | undefined> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: TOOL_TIMEOUT_MS, windowsHide: true }, (error, output) =>
      resolve(error ? undefined : parse(output)),
    )
  })
}

/**
 * Lines such as `NVIDIA GeForce RTX 3060, 12288, 11021, 35, 61`, in MiB, percent and degrees Celsius;
 * `[N/A]` where a card does not tell.
 */
export function parseNvidiaSmi(output: string): Device[] {
  return output.split('\n').flatMap((line): Device[] => {
    const [name, ...said] = line.split(',').map((part) => part.trim())
    const [total, free, utilisation, temperature] = said.map((text) =>
      /^\d+$/.test(text) ? Number(text) : undefined,
    )
    if (!name || total === undefined) return []
    return [
      {
        name,
        kind: 'gpu',
        totalBytes: total * MIB,
        ...(free !== undefined && { freeBytes: free * MIB }),
        ...(utilisation !== undefined && { utilisationPercent: utilisation }),
        ...(temperature !== undefined && { temperatureCelsius: temperature }),
      },
    ]
  })
}

/** An object a card: `{ "card0": { "Card Series": ..., "VRAM Total Memory (B)": "...", ... } }`. */
export function parseRocmSmi(output: string): Device[] {
  let cards: { [card: string]: { [field: string]: string } }
  try {
    cards = JSON.parse(output)
  } catch {
    // Some releases write warnings before it, or instead.
    return []
  }
  return Object.entries(cards).flatMap(([card, fields]): Device[] => {
    const total = Number(fields['VRAM Total Memory (B)'])
    const used = Number(fields['VRAM Total Used Memory (B)'])
    if (!/^card\d+$/.test(card) || !(total > 0)) return []
    const name = fields['Card Series'] ?? fields['Card series'] ?? fields['Card model'] ?? 'AMD GPU'
    const utilisation = Number(fields['GPU use (%)'])
    const temperature = Number(fields['Temperature (Sensor edge) (C)'])
    return [
      {
        name,
        kind: 'gpu',
        totalBytes: total,
        ...(Number.isFinite(used) && { freeBytes: total - used }),
        ...(Number.isFinite(utilisation) && { utilisationPercent: utilisation }),
        ...(Number.isFinite(temperature) && { temperatureCelsius: temperature }),
      },
    ]
  })
}

/** Cards of other makers; of those, no system tells what is free. */
async function otherCards(): Promise<Device[]> {
  const { graphics } = await import('systeminformation')
  const { controllers } = await graphics()
  return controllers.flatMap(({ vendor, model, vram }): Device[] => {
    if (!vram || vram < 0) return []
    const name = model.toLowerCase().includes(vendor.toLowerCase()) ? model : `${vendor} ${model}`
    return [{ name, kind: 'gpu', totalBytes: vram * MIB }]
  })
}
