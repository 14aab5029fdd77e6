/** How full and how busy a machine was in the last quarter of an hour. */
import { LOAD_HISTORY_MS, mainDevice } from '@comfymesh/protocol/loads'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { readLoads } from '../../api/mesh.ts'
import { type Series, TimeChart } from '../../components/time-chart.tsx'

/** A line needs two ends. */
const MIN_SAMPLES = 2
const MIN_SPAN_MS = 60_000

const REFRESH_MS = 5000

export function LoadChart({ peer }: { readonly peer: MeshPeer }) {
  const { data } = useQuery({
    queryKey: ['loads'],
    queryFn: ({ signal }) => readLoads(signal),
    refetchInterval: REFRESH_MS,
  })
  const samples = data?.[peer.peerId] ?? []
  const device = mainDevice(peer.advertisement?.devices ?? [])
  if (device === undefined || samples.length < MIN_SAMPLES) return null
  const memory = device.kind === 'gpu' ? 'VRAM' : 'Memory'
  const lines: readonly Series[] = [
    {
      label: memory,
      color: '--chart-memory',
      values: samples.map(({ memoryPercent }) => memoryPercent),
    },
    { label: 'Load', color: '--chart-load', values: samples.map(({ loadPercent }) => loadPercent) },
  ]
  const series = lines.filter(({ values }) => values.some((value) => value !== undefined))
  if (series.length === 0) return null
  const timesMs = samples.map(({ atMs }) => atMs)
  const spanMs = Math.min(LOAD_HISTORY_MS, Math.max(MIN_SPAN_MS, timesMs.at(-1)! - timesMs[0]!))
  const now = series.map(({ label, values }) => `${label} ${Math.round(values.at(-1) ?? 0)} %`)
  return (
    <div>
      <Text size="xs" c="dimmed" className="chart-legend">
        {series.map(({ label, color }) => (
          <span key={label}>
            <i style={{ background: `var(${color})` }} />
            {label}
          </span>
        ))}
      </Text>
      <TimeChart
        label={`${peer.name} over the last minutes, now ${now.join(', ')}`}
        timesMs={timesMs}
        series={series}
        spanMs={spanMs}
      />
    </div>
  )
}
