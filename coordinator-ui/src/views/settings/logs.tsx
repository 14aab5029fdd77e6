/** What the machines of the mesh wrote into their logs, live. */
import type { LogLevel, LogLine } from '@comfymesh/protocol/log-lines'
import { Group, Select, Switch, Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'
import { Problem } from '../../components/problem.tsx'
import { Section } from '../../components/section.tsx'
import { filterLines, type LogFilter, useLog } from '../../state/log.ts'
import { usePeers } from '../../state/peers.ts'

const levels: readonly { readonly value: LogLevel; readonly label: string }[] = [
  { value: 'debug', label: 'Everything' },
  { value: 'info', label: 'Information and worse' },
  { value: 'warn', label: 'Warnings and errors' },
  { value: 'error', label: 'Errors' },
]

export function Logs() {
  const [peerId, setPeerId] = useState('')
  const [filter, setFilter] = useState<LogFilter>({ level: 'debug', search: '' })
  const [isFollowing, setFollowing] = useState(true)
  const { data: lines = [], error } = useLog(peerId, isFollowing)
  return (
    <Section
      title="Log"
      aside={
        <Switch
          label="Follow"
          checked={isFollowing}
          onChange={({ currentTarget }) => setFollowing(currentTarget.checked)}
        />
      }
    >
      <Group mb="sm" gap="sm">
        <Machines value={peerId} onChange={setPeerId} />
        <Select
          aria-label="Level"
          allowDeselect={false}
          data={levels}
          value={filter.level}
          onChange={(level) => setFilter({ ...filter, level: (level ?? 'debug') as LogLevel })}
          w={{ base: '100%', xs: 220 }}
        />
        <TextInput
          aria-label="Search the log"
          placeholder="Search"
          leftSection={<IconSearch size={16} />}
          value={filter.search}
          onChange={({ currentTarget }) => setFilter({ ...filter, search: currentTarget.value })}
          style={{ flex: 1, minWidth: 160 }}
        />
      </Group>
      {error && <Problem title="This log could not be read" error={error} />}
      <Lines lines={filterLines(lines, filter)} isFollowing={isFollowing} />
    </Section>
  )
}

interface MachinesProps {
  readonly value: string
  readonly onChange: (peerId: string) => void
}

function Machines({ value, onChange }: MachinesProps) {
  const { data: mesh } = usePeers()
  const others = (mesh?.peers ?? []).filter(({ state }) => state === 'connected')
  const self = mesh?.peers.find(({ state }) => state === 'self')
  return (
    <Select
      aria-label="Machine"
      allowDeselect={false}
      data={[
        { value: '', label: self ? `${self.name} (this machine)` : 'This machine' },
        ...others.map(({ peerId, name }) => ({ value: peerId, label: name })),
      ]}
      value={value}
      onChange={(next) => onChange(next ?? '')}
      w={{ base: '100%', xs: 220 }}
    />
  )
}

interface LinesProps {
  readonly lines: readonly LogLine[]
  readonly isFollowing: boolean
}

function Lines({ lines, isFollowing }: LinesProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const newest = lines.at(-1)?.id
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new line is the reason
  useEffect(() => {
    if (isFollowing) scroller.current?.scrollTo({ top: scroller.current.scrollHeight })
  }, [newest, isFollowing])
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
    <section className="log" ref={scroller} aria-label="Lines of the log" tabIndex={0}>
      {lines.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing of that kind was written.
        </Text>
      )}
      {lines.map(({ id, atMs, level, message }) => (
        <div key={id} data-level={level}>
          <time dateTime={new Date(atMs).toISOString()}>
            {new Date(atMs).toLocaleTimeString(undefined, { hour12: false })}
          </time>
          <span>{level === 'info' ? '' : level}</span>
          <span>{message}</span>
        </div>
      ))}
    </section>
  )
}
