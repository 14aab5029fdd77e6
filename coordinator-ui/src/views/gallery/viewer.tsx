/** A picture large, with how it was made: arrows move, C compares with the one beside it. */
import { ActionIcon, Alert, Button, Group, Stack, Text } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import {
  IconArrowLeft,
  IconArrowRight,
  IconColumns2,
  IconDownload,
  IconTimeline,
  IconWand,
} from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { fileUrl } from '../../api/comfyui.ts'
import { readJob } from '../../api/jobs.ts'
import { Copy } from '../../components/copy.tsx'
import { Dialog } from '../../components/dialog.tsx'
import { draftOf } from '../../state/again.ts'
import { draft } from '../../state/draft.ts'
import { ago } from '../../state/duration.ts'
import { settingsOf, tookText } from '../../state/settings-line.ts'
import type { Tile } from './gallery-view.tsx'

export interface ViewerProps {
  readonly tiles: readonly Tile[]
  readonly index: number
  readonly onMove: (index: number) => void
  readonly onClose: () => void
}

export function Viewer({ tiles, index, onMove, onClose }: ViewerProps) {
  const [isComparing, setComparing] = useState(false)
  const tile = tiles[index]!
  const other = isComparing ? (tiles[index + 1] ?? tiles[index - 1]) : undefined
  const move = (by: number) => {
    if (tiles[index + by]) onMove(index + by)
  }
  useHotkeys([
    ['ArrowLeft', () => move(-1)],
    ['ArrowRight', () => move(1)],
    ['c', () => setComparing(!isComparing)],
  ])
  return (
    <Dialog isLarge title={`${index + 1} of ${tiles.length}`} onClose={onClose}>
      <div className="viewer" data-comparing={other !== undefined}>
        <Picture tile={tile} />
        {other && <Picture tile={other} />}
      </div>
      <Group justify="center" mt="md">
        <ActionIcon
          variant="default"
          size="lg"
          aria-label="The picture before"
          disabled={index === 0}
          onClick={() => move(-1)}
        >
          <IconArrowLeft size={18} />
        </ActionIcon>
        <Button
          variant={isComparing ? 'filled' : 'default'}
          leftSection={<IconColumns2 size={16} />}
          aria-pressed={isComparing}
          disabled={tiles.length < 2}
          onClick={() => setComparing(!isComparing)}
        >
          Compare
        </Button>
        <ActionIcon
          variant="default"
          size="lg"
          aria-label="The next picture"
          disabled={index === tiles.length - 1}
          onClick={() => move(1)}
        >
          <IconArrowRight size={18} />
        </ActionIcon>
      </Group>
    </Dialog>
  )
}

function Picture({ tile }: { readonly tile: Tile }) {
  const { job, file } = tile
  const { text } = job.prompt
  return (
    <figure className="viewer-picture">
      <img src={fileUrl(file)} alt={text || file.filename} />
      <figcaption>
        <Stack gap="xs" align="center">
          <Text ta="center">{text || file.filename}</Text>
          <Text size="sm" c="dimmed" ta="center">
            {[...settingsOf(job.prompt), tookText(job), ago(job.createdAtMs, Date.now())]
              .filter(Boolean)
              .join(' · ')}
          </Text>
          <Actions tile={tile} />
        </Stack>
      </figcaption>
    </figure>
  )
}

function Actions({ tile: { job, file } }: { readonly tile: Tile }) {
  const [, go] = useLocation()
  const use = useMutation({
    mutationFn: () => readJob(job.id),
    onSuccess: (made) => {
      draft.set(draftOf(made, `Settings of ${file.filename}`))
      go('/')
    },
  })
  return (
    <>
      <Group gap="xs" justify="center">
        <Button
          size="xs"
          leftSection={<IconWand size={14} />}
          loading={use.isPending}
          onClick={() => use.mutate()}
        >
          Use these settings
        </Button>
        <Button
          component="a"
          size="xs"
          variant="default"
          leftSection={<IconDownload size={14} />}
          href={fileUrl(file)}
          download={file.filename}
        >
          Download
        </Button>
        <Button
          component={Link}
          href={`/jobs/${job.id}`}
          size="xs"
          variant="default"
          leftSection={<IconTimeline size={14} />}
        >
          How it was made
        </Button>
        {job.prompt.seed !== undefined && (
          <Copy text={job.prompt.seed} label="Copy seed" size="xs" />
        )}
      </Group>
      {use.error && (
        <Alert color="red" role="alert">
          {use.error.message}
        </Alert>
      )}
    </>
  )
}
