/** What can compute here: the graphics cards, and onnxruntime's providers with their self-test. */
import { byteSize } from '../base/duration.ts'
import { createNativeExecutor } from '../executors/native/native-executor.ts'
import type { ProviderReport } from '../executors/native/sessions/settings.ts'
import type { ExaminedSettings } from './checks.ts'
import type { Finding } from './finding.ts'

interface Graphics {
  readonly vendor: string
  readonly model: string
  /** Megabytes; null where the system does not tell. */
  readonly vram: number | null
}

export async function checkComputing(settings: ExaminedSettings): Promise<Finding[]> {
  const cards = await graphicsCards()
  return [cardsFinding(cards), ...providerFindings(await testProviders(settings), cards)]
}

async function graphicsCards(): Promise<Graphics[]> {
  const { graphics } = await import('systeminformation')
  const { controllers } = await graphics()
  return controllers.map(({ vendor, model, vram }) => ({ vendor, model, vram }))
}

function cardsFinding(cards: readonly Graphics[]): Finding {
  const data = { cards }
  if (cards.length === 0) {
    return { check: 'Graphics', state: 'ok', message: 'no graphics card found', data }
  }
  const message = cards
    .map(({ vendor, model, vram }) => {
      const name = model.toLowerCase().includes(vendor.toLowerCase()) ? model : `${vendor} ${model}`
      return vram ? `${name}, ${byteSize(vram * 2 ** 20)}` : name
    })
    .join('\n')
  return { check: 'Graphics', state: 'ok', message, data }
}

/** Every provider of this platform, tested in a child process that a bad driver may kill. */
async function testProviders(settings: ExaminedSettings): Promise<readonly ProviderReport[]> {
  const { folders, threads } = settings
  const executor = createNativeExecutor({ folders, ...(threads !== undefined && { threads }) })
  await executor.start()
  try {
    return await executor.testProviders()
  } finally {
    await executor.stop()
  }
}

const INSTALL_AGAIN = 'Install comfymesh again (npm ci); if that does not help, please report it.'

/** A finding for each provider that works or could, one for all those without hardware. Pure. */
export function providerFindings(
  reports: readonly ProviderReport[],
  cards: readonly Graphics[],
): Finding[] {
  const best = reports.find(({ ok }) => ok)
  const isPossible = (report: ProviderReport) => report.ok || hasHardware(report.name, cards)
  const findings = reports
    .filter(isPossible)
    .map((report) => providerFinding(report, report === best))
  const impossible = reports.filter((report) => !isPossible(report))
  if (impossible.length > 0) {
    const names = impossible.map(({ name }) => name).join(', ')
    const message = `no hardware for ${names} was found`
    findings.push({ check: 'Provider', state: 'ok', message, data: { reports: impossible } })
  }
  if (best === undefined) {
    const message = 'nothing can compute here'
    findings.push({ check: 'Provider', state: 'problem', message, advice: INSTALL_AGAIN })
  }
  return findings
}

function providerFinding(report: ProviderReport, isBest: boolean): Finding {
  const { name, ok, reason = 'it does not say why' } = report
  const data = { ...report, used: isBest }
  if (ok) {
    const message = `${name} computes correctly${isBest ? ' and is used' : ''}`
    return { check: 'Provider', state: 'ok', message, data }
  }
  const lacksLibraries = name === 'cuda' && /load shared library/i.test(reason)
  if (!lacksLibraries) {
    return { check: 'Provider', state: 'note', message: `${name} does not work: ${reason}`, data }
  }
  const message = 'NVIDIA GPU found but CUDA libraries are not installed'
  return { check: 'Provider', state: 'note', message, advice: 'Run `npm run cuda`.', data }
}

const isNvidia = ({ vendor, model }: Graphics) =>
  /nvidia|geforce|quadro|tesla/i.test(`${vendor} ${model}`)

/** Whether this machine has what a provider needs; then its failure is worth a word. */
function hasHardware(name: ProviderReport['name'], cards: readonly Graphics[]): boolean {
  if (name === 'cpu') return true
  return name === 'cuda' ? cards.some(isNvidia) : cards.length > 0
}
