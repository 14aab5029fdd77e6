/** One machine: how it is, what it has, what it does. */
import type { Device } from '@comfymesh/protocol/advertisement'
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Badge, Group, Paper, Progress, Stack, Text, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { readModels } from '../../api/models.ts'
import { byteSize } from '../../state/byte-size.ts'
import { ago, duration } from '../../state/duration.ts'
import { residentNames } from '../../state/models.ts'
import { LoadChart } from './load-chart.tsx'
import { PeerMenu } from './peer-menu.tsx'

export function PeerCard({ peer }: { readonly peer: MeshPeer }) {
  const { advertisement, state } = peer
  return (
    <Paper withBorder p="md" component="section" aria-label={peer.name}>
      <Group justify="space-between" wrap="nowrap" mb="xs">
        <Text fw={600} truncate>
          {peer.name}
        </Text>
        <Group gap={4} wrap="nowrap" style={{ flex: 'none' }}>
          <StateBadge peer={peer} />
          {state !== 'self' && <PeerMenu peer={peer} />}
        </Group>
      </Group>
      <Stack gap="sm">
        {(advertisement?.devices ?? []).map((device, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two cards of one machine have one name
          <DeviceLines key={index} device={device} />
        ))}
        {advertisement && <LoadChart peer={peer} />}
        {advertisement && <Text size="sm">{queueWords(advertisement.queue)}</Text>}
        {advertisement && <Resident peerId={peer.peerId} />}
        <Text size="xs" c="dimmed">
          {factsOf(peer).join(' · ')}
        </Text>
      </Stack>
    </Paper>
  )
}

/** Ready is what has worked: a stage succeeded there since it was connected. */
function StateBadge({ peer: { state, workedAtMs } }: { readonly peer: MeshPeer }) {
  const { label, color, hint } =
    state === 'away'
      ? { label: 'Away', color: 'gray', hint: 'It does not answer' }
      : workedAtMs === undefined
        ? {
            label: state === 'self' ? 'This machine' : 'Connected',
            color: state === 'self' ? 'indigo' : 'blue',
            hint: 'It has not worked for this machine yet. “Test this mesh” tries it out.',
          }
        : {
            label: state === 'self' ? 'This machine, ready' : 'Ready',
            color: 'teal',
            hint: `It did a part of a job ${ago(workedAtMs, Date.now())}`,
          }
  return (
    <Tooltip label={hint} multiline maw={240}>
      <Badge color={color} variant="dot" tt="none">
        {label}
      </Badge>
    </Tooltip>
  )
}

function queueWords({
  running,
  waiting,
  busyMs = 0,
}: NonNullable<MeshPeer['advertisement']>['queue']) {
  const busy = busyMs >= 1000 ? `busy for ${duration(busyMs)}` : undefined
  if (running + waiting === 0) return busy === undefined ? 'Idle' : `Works for others, ${busy}`
  return [`${running} running, ${waiting} waiting`, ...(busy === undefined ? [] : [busy])].join(
    ', ',
  )
}

function Resident({ peerId }: { readonly peerId: string }) {
  const { data } = useQuery({
    queryKey: ['models'],
    queryFn: ({ signal }) => readModels(signal),
    refetchInterval: 5000,
  })
  const names = residentNames(data?.models ?? [], peerId)
  if (names.length === 0) return null
  return (
    <Group gap={6} aria-label="Models in memory" role="group">
      {names.map((name) => (
        <Badge key={name} variant="light" color="gray" tt="none" maw="100%">
          {name}
        </Badge>
      ))}
    </Group>
  )
}

function factsOf({ advertisement, host, state, lastSeenAtMs, link }: MeshPeer): string[] {
  return [
    ...(host === undefined ? [] : [host]),
    ...(state === 'connected' ? [linkWords(link)] : []),
    ...(advertisement === undefined ? [] : [`comfymesh ${advertisement.version}`]),
    ...(state === 'away'
      ? [lastSeenAtMs === undefined ? 'never met' : `last seen ${ago(lastSeenAtMs, Date.now())}`]
      : []),
  ]
}

/** Agents speak to each other directly or not at all. */
function linkWords({ roundTripMs, bytesPerSecond }: NonNullable<MeshPeer['link']> = {}): string {
  return [
    'direct link',
    ...(roundTripMs === undefined ? [] : [`${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms`]),
    ...(bytesPerSecond === undefined ? [] : [`${byteSize(bytesPerSecond)}/s`]),
  ].join(', ')
}

/** How much of a device's memory is taken, how busy and how warm it is, where it tells. */
function DeviceLines({ device }: { readonly device: Device }) {
  const { name, kind, totalBytes, freeBytes, utilisationPercent, temperatureCelsius } = device
  const memory = kind === 'gpu' ? 'VRAM' : 'Memory'
  const used = freeBytes === undefined ? undefined : totalBytes - freeBytes
  return (
    <div>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text size="sm" fw={500} truncate title={name}>
          {name}
        </Text>
        {temperatureCelsius !== undefined && (
          <Text size="sm" c="dimmed">
            {Math.round(temperatureCelsius)} °C
          </Text>
        )}
      </Group>
      <Meter
        label={memory}
        of={name}
        percent={used === undefined ? undefined : (100 * used) / totalBytes}
        text={`${used === undefined ? '' : `${byteSize(used)} of `}${byteSize(totalBytes)}`}
        color="indigo"
      />
      {utilisationPercent !== undefined && (
        <Meter
          label="Load"
          of={name}
          percent={utilisationPercent}
          text={`${Math.round(utilisationPercent)} %`}
          color="teal"
        />
      )}
    </div>
  )
}

interface MeterProps {
  readonly label: string
  readonly of: string
  readonly percent: number | undefined
  readonly text: string
  readonly color: string
}

function Meter({ label, of, percent, text, color }: MeterProps) {
  return (
    <div className="meter">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      {percent === undefined ? (
        <span />
      ) : (
        <Progress value={percent} color={color} size="sm" aria-label={`${label} of ${of} in use`} />
      )}
      <Text size="xs" c="dimmed" ta="right">
        {text}
      </Text>
    </div>
  )
}
