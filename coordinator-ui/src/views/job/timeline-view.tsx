/** When a job was where, as bars: a row a machine. */
import { Text } from '@mantine/core'
import { preciseDuration } from '../../state/duration.ts'
import {
  type Bar,
  type Segment,
  type SegmentKind,
  type Timeline,
  ticksOf,
} from '../../state/timeline.ts'

const segmentNames: { readonly [kind in SegmentKind]: string } = {
  wait: 'Waits',
  transfer: 'Transfer',
  load: 'Loads the model',
  compute: 'Computes',
  failed: 'Failed or given up',
}

/** Less of the whole is not worth a line of its own. */
const LEAST_SHARE = 0.003

export interface TimelineViewProps {
  readonly timeline: Timeline
  readonly nameOf: (peerId: string) => string
  readonly titleOf: (stageId: string) => string
}

export function TimelineView({ timeline, nameOf, titleOf }: TimelineViewProps) {
  const { lengthMs, rows } = timeline
  const left = (ms: number) => `${(100 * ms) / lengthMs}%`
  const isVisible = ({ startMs, endMs }: Segment) => endMs - startMs > lengthMs * LEAST_SHARE
  const segments = rows.flatMap(({ bars }) => bars.flatMap((bar) => bar.segments))
  const kinds = new Set(segments.filter(isVisible).map(({ kind }) => kind))
  return (
    <figure className="timeline">
      <figcaption className="visually-hidden">
        {rows.flatMap(({ peerId, bars }) =>
          bars.map((bar) => <p key={bar.key}>{sentence(bar, nameOf(peerId), titleOf)}</p>),
        )}
      </figcaption>
      <div aria-hidden="true">
        {rows.map(({ peerId, bars }) => (
          <div className="timeline-row" key={peerId}>
            <Text size="sm" truncate>
              {nameOf(peerId)}
            </Text>
            <div className="timeline-bars">
              {bars.map(({ key, stageId, status, segments }) =>
                segments.filter(isVisible).map(({ kind, startMs, endMs }) => (
                  <div
                    key={`${key} ${kind}`}
                    className="timeline-segment"
                    data-kind={kind}
                    data-status={status}
                    title={`${segmentNames[kind]}, ${preciseDuration(endMs - startMs)}: ${titleOf(stageId)}`}
                    style={{
                      left: left(startMs),
                      width: left(endMs - startMs),
                    }}
                  />
                )),
              )}
            </div>
          </div>
        ))}
        <div className="timeline-row">
          <span />
          <div className="timeline-axis">
            {ticksOf(lengthMs).map((ms) => (
              <span key={ms} data-last={ms > lengthMs * 0.9} style={{ left: left(ms) }}>
                {ms === 0 ? '0' : preciseDuration(ms)}
              </span>
            ))}
          </div>
        </div>
        <div className="timeline-legend">
          {[...kinds].map((kind) => (
            <span key={kind}>
              <i data-kind={kind} />
              {segmentNames[kind]}
            </span>
          ))}
        </div>
      </div>
    </figure>
  )
}

function sentence(
  { stageId, segments }: Bar,
  peer: string,
  titleOf: (stageId: string) => string,
): string {
  const parts = segments.map(
    ({ kind, startMs, endMs }) =>
      `${segmentNames[kind]} ${preciseDuration(endMs - startMs)} from ${preciseDuration(startMs)} on`,
  )
  return `${peer}, ${titleOf(stageId)}: ${parts.join(', ')}.`
}
