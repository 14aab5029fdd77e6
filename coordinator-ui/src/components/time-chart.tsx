/** Values over time, drawn by uPlot in the colours of the page. */
import 'uplot/dist/uPlot.min.css'
import { useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'

export interface Series {
  readonly label: string
  /** The name of a colour variable of the page. */
  readonly color: `--${string}`
  /** One a moment; undefined where nothing was told. */
  readonly values: readonly (number | undefined)[]
}

export interface TimeChartProps {
  readonly label: string
  readonly timesMs: readonly number[]
  readonly series: readonly Series[]
  /** The span that is shown, up to the last moment. */
  readonly spanMs: number
}

const HEIGHT = 96
const SECONDS_MATTER_MS = 3 * 60_000

/** From 0 to 100 percent. */
export function TimeChart({ label, timesMs, series, spanMs }: TimeChartProps) {
  const { ref, width } = useElementSize()
  const scheme = useComputedColorScheme('light')
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot>(undefined)
  const data = [
    timesMs.map((ms) => ms / 1000),
    ...series.map(({ values }) => values.map((value) => value ?? null)),
  ] as uPlot.AlignedData
  const shape = series.map(({ label, color }) => `${label} ${color}`).join()

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew for another size, scheme or set of lines
  useEffect(() => {
    if (width === 0 || place.current === null) return
    const colours = getComputedStyle(document.documentElement)
    const colour = (name: string) => colours.getPropertyValue(name)
    const options = optionsOf({ width, series, spanMs, colour })
    chart.current = new uPlot(options, data, place.current)
    return () => chart.current?.destroy()
  }, [width, scheme, shape])
  useEffect(() => chart.current?.setData(data))
  return (
    <div ref={ref} role="img" aria-label={label} style={{ height: HEIGHT }}>
      <div ref={place} className="chart" />
    </div>
  )
}

interface Drawing extends Pick<TimeChartProps, 'series' | 'spanMs'> {
  readonly width: number
  readonly colour: (name: string) => string
}

function optionsOf({ width, series, spanMs, colour }: Drawing): uPlot.Options {
  const clock = (seconds: number) =>
    new Date(seconds * 1000).toLocaleTimeString(undefined, {
      hour: '2-digit',
      minute: '2-digit',
      hour12: false,
      ...(spanMs < SECONDS_MATTER_MS && { second: '2-digit' }),
    })
  const axis = { stroke: colour('--page-dimmed'), font: '11px system-ui', ticks: { show: false } }
  const grid = { stroke: colour('--page-line'), width: 1 }
  return {
    width,
    height: HEIGHT,
    padding: [8, 6, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_chart, _min, max) => [max - spanMs / 1000, max] },
      y: { range: [0, 100] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 20,
        space: 90,
        values: (_, ticks) => ticks.map(clock),
      },
      {
        ...axis,
        grid,
        size: 38,
        splits: [0, 50, 100],
        values: (_, ticks) => ticks.map((v) => `${v}%`),
      },
    ],
    series: [
      {},
      ...series.map(({ label, color }) => ({
        label,
        stroke: colour(color),
        fill: `color-mix(in srgb, ${colour(color)} 14%, transparent)`,
        width: 1.5,
        points: { show: false },
        spanGaps: true,
      })),
    ],
  }
}
