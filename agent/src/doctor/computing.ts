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
  const reports = await testProviders(settings)
  return [cardsFinding(cards), ...providerFindings(reports, cards, settings.provider)]
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

/** Every provider of this platform, and the one that the settings demand even where it is of another. */
async function testProviders(settings: ExaminedSettings): Promise<readonly ProviderReport[]> {
  const { provider, ...free } = settings
  const reports = await reportsOf(free)
  const isMissing = provider !== undefined && !reports.some(({ name }) => name === provider)
  return isMissing ? [...(await reportsOf(settings)), ...reports] : reports
}

/**
 * Whether the provider that the settings demand can be used; takes seconds.
 * @param signal ends it early. @returns the problem, if there is one.
 */
export async function checkDemand(
  settings: ExaminedSettings & { readonly provider: string },
  signal: AbortSignal,
): Promise<Finding | undefined> {
  const [report] = await reportsOf(settings, signal)
  return report === undefined || report.ok ? undefined : unmetDemand(report)
}

/** Tested in a child process that a bad driver may kill. */
async function reportsOf(
  settings: ExaminedSettings,
  signal?: AbortSignal,
): Promise<readonly ProviderReport[]> {
  const { folders, threads, provider } = settings
  const executor = createNativeExecutor({
    folders,
    ...(threads !== undefined && { threads }),
    ...(provider !== undefined && { provider }),
  })
  await executor.start()
  const stop = () => void executor.stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await executor.testProviders()
  } finally {
    signal?.removeEventListener('abort', stop)
    await executor.stop()
  }
}

const INSTALL_AGAIN = 'Install comfymesh again (npm ci); if that does not help, please report it.'

/**
 * A finding for each provider that works or could, one for all those without hardware. Pure.
 * @param demanded the only one that may be used; the best where absent.
 */
export function providerFindings(
  reports: readonly ProviderReport[],
  cards: readonly Graphics[],
  demanded?: string,
): Finding[] {
  const working = reports.filter(({ ok }) => ok)
  const used = working.find(({ name }) => name === (demanded ?? name))
  const isPossible = ({ name, ok }: ProviderReport) =>
    ok || name === demanded || hasHardware(name, cards)
  const findings = reports.filter(isPossible).map((report) => {
    if (report.ok) return workingFinding(report, report === used, demanded)
    return report.name === demanded ? unmetDemand(report, working[0]) : failedFinding(report)
  })
  const impossible = reports.filter((report) => !isPossible(report))
  if (impossible.length > 0) {
    const names = impossible.map(({ name }) => name).join(', ')
    const message = `no hardware for ${names} was found`
    findings.push({ check: 'Provider', state: 'ok', message, data: { reports: impossible } })
  }
  if (working.length === 0) {
    const message = 'nothing can compute here'
    findings.push({ check: 'Provider', state: 'problem', message, advice: INSTALL_AGAIN })
  }
  return findings
}

function workingFinding(report: ProviderReport, isUsed: boolean, demanded?: string): Finding {
  const asDemanded = demanded === undefined ? '' : ', as the setting `provider` demands'
  const message = `${report.name} computes correctly${isUsed ? ` and is used${asDemanded}` : ''}`
  return { check: 'Provider', state: 'ok', message, data: { ...report, used: isUsed } }
}

const lacksLibraries = ({ name, reason = '' }: ProviderReport) =>
  name === 'cuda' && /load shared library/i.test(reason)

function failedFinding(report: ProviderReport): Finding {
  const { name, reason = 'it does not say why' } = report
  const data = { ...report, used: false }
  if (!lacksLibraries(report)) {
    return { check: 'Provider', state: 'note', message: `${name} does not work: ${reason}`, data }
  }
  const message = 'NVIDIA GPU found but CUDA libraries are not installed'
  return { check: 'Provider', state: 'note', message, advice: 'Run `npm run cuda`.', data }
}

/** @param best what would be used if the settings did not demand another. */
function unmetDemand(report: ProviderReport, best?: ProviderReport): Finding {
  const { name, reason = 'it does not say why' } = report
  const message = `the setting \`provider\` demands ${name}, which cannot be used: ${reason}`
  const instead = best === undefined ? '' : `, and ${best.name} is used`
  const install = 'With an NVIDIA card run `npm run cuda`; otherwise leave'
  const leave = lacksLibraries(report) ? install : 'Leave'
  const advice = `${leave} the setting out (--provider, COMFYMESH_PROVIDER or comfymesh.yaml)${instead}.`
  const data = { ...report, used: false }
  return { check: 'Provider', state: 'problem', message, advice, data }
}

const isNvidia = ({ vendor, model }: Graphics) =>
  /nvidia|geforce|quadro|tesla/i.test(`${vendor} ${model}`)

/** Whether this machine has what a provider needs; then its failure is worth a word. */
function hasHardware(name: ProviderReport['name'], cards: readonly Graphics[]): boolean {
  if (name === 'cpu') return true
  return name === 'cuda' ? cards.some(isNvidia) : cards.length > 0
}
