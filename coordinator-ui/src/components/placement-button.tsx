/** Says where prompts of this page run, and lets one choose; nothing where there is only this machine. */
import type { MeshPeer } from '@comfymesh/protocol/mesh'
import { Button, Popover, Radio, Stack } from '@mantine/core'
import { IconChevronDown, IconServer2 } from '@tabler/icons-react'
import { placement } from '../state/chosen-placement.ts'
import { usePeerNames, usePeers } from '../state/peers.ts'
import { type Fallback, otherwise, type Placement, placementText } from '../state/placement.ts'
import { useStore } from '../state/store.ts'

const ANYWHERE = ''
const remarks = { self: ' (this machine)', connected: '', away: ' (away)' }

export function PlacementButton() {
  const wish = useStore(placement)
  const { data: mesh } = usePeers()
  const nameOf = usePeerNames()
  const peers = mesh?.peers ?? []
  // A choice that was made before can always be taken back.
  if (peers.length < 2 && wish === undefined) return null
  const text = placementText(wish, wish === undefined ? '' : nameOf(wish.peerId))
  return (
    <Popover withinPortal position="top" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button
          className="placement"
          size="compact-sm"
          variant="subtle"
          color="gray"
          fw={500}
          aria-label={text}
          leftSection={<IconServer2 size={14} />}
          rightSection={<IconChevronDown size={14} />}
        >
          {text}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Where it runs">
        <Stack gap="md" maw={280}>
          <Where wish={wish} peers={peers} nameOf={nameOf} />
          {wish !== undefined && <Otherwise wish={wish} name={nameOf(wish.peerId)} />}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}

interface WhereProps {
  readonly wish: Placement | undefined
  readonly peers: readonly MeshPeer[]
  readonly nameOf: (peerId: string) => string
}

function Where({ wish, peers, nameOf }: WhereProps) {
  const isListed = wish === undefined || peers.some(({ peerId }) => peerId === wish.peerId)
  const choose = (peerId: string) =>
    placement.set(peerId === ANYWHERE ? undefined : { peerId, fallback: wish?.fallback ?? 'ask' })
  return (
    <Radio.Group label="Where it runs" value={wish?.peerId ?? ANYWHERE} onChange={choose}>
      <Stack gap={8} mt={8}>
        <Radio value={ANYWHERE} label="Anywhere, where it is done first" />
        {peers.map(({ peerId, name, state }) => (
          <Radio key={peerId} value={peerId} label={`${name}${remarks[state]}`} />
        ))}
        {!isListed && (
          <Radio value={wish.peerId} label={`${nameOf(wish.peerId)} (not in this mesh)`} />
        )}
      </Stack>
    </Radio.Group>
  )
}

function Otherwise({ wish, name }: { readonly wish: Placement; readonly name: string }) {
  return (
    <Radio.Group
      label={`While ${name} cannot`}
      value={wish.fallback}
      onChange={(fallback) => placement.set({ ...wish, fallback: fallback as Fallback })}
    >
      <Stack gap={8} mt={8}>
        {Object.entries(otherwise).map(([fallback, { label }]) => (
          <Radio key={fallback} value={fallback} label={label} />
        ))}
      </Stack>
    </Radio.Group>
  )
}
