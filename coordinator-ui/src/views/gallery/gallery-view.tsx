/** What was made: all pictures, the newest first, to search, look at and make again. */
import { Alert, CloseButton, Group, Loader, Text, TextInput, Title } from '@mantine/core'
import { useDebouncedValue, useElementSize } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, useState } from 'react'
import { fileUrl } from '../../api/comfyui.ts'
import { type JobSummary, listFinished } from '../../api/jobs.ts'
import { endings } from '../../state/agent.ts'
import { useStore } from '../../state/store.ts'
import { Viewer } from './viewer.tsx'

const PAGE_SIZE = 60
const TILE_PIXELS = 180
const GAP_PIXELS = 12

/** One picture of a job. */
export interface Tile {
  readonly key: string
  readonly job: JobSummary
  readonly file: JobSummary['files'][number]
}

export default function GalleryView() {
  const [search, setSearch] = useState('')
  const [searched] = useDebouncedValue(search.trim(), 250)
  const [shown, setShown] = useState<number>()
  const { tiles, error, isPending, loadMore } = useTiles(searched)

  return (
    <div className="gallery-page">
      <Group justify="space-between" p="md" className="gallery-head">
        <Title order={1} size="h3">
          Gallery
        </Title>
        <TextInput
          aria-label="Search the gallery"
          placeholder="Search by prompt or model"
          leftSection={<IconSearch size={16} />}
          rightSection={
            search !== '' && <CloseButton aria-label="Clear" onClick={() => setSearch('')} />
          }
          value={search}
          onChange={({ currentTarget }) => setSearch(currentTarget.value)}
          w={{ base: '100%', sm: 320 }}
        />
      </Group>
      {error && (
        <Alert color="red" m="md" title="The gallery could not be read">
          {error.message}
        </Alert>
      )}
      {isPending && <Loader m="xl" aria-label="Reading the gallery" />}
      {!isPending && !error && tiles.length === 0 && (
        <Text c="dimmed" ta="center" py={64}>
          {searched === '' ? 'No pictures yet.' : `Nothing was made with “${searched}”.`}
        </Text>
      )}
      <Grid tiles={tiles} onOpen={setShown} onEnd={loadMore} />
      {shown !== undefined && tiles[shown] && (
        <Viewer tiles={tiles} index={shown} onMove={setShown} onClose={() => setShown(undefined)} />
      )}
    </div>
  )
}

function useTiles(search: string) {
  const queries = useQueryClient()
  const ended = useStore(endings)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a job that ended is the reason
  useEffect(() => void queries.invalidateQueries({ queryKey: ['gallery'] }), [ended])
  const { data, error, isPending, hasNextPage, isFetching, fetchNextPage } = useInfiniteQuery({
    queryKey: ['gallery', search],
    queryFn: ({ pageParam, signal }) =>
      listFinished({ search, offset: pageParam, limit: PAGE_SIZE }, signal),
    initialPageParam: 0,
    getNextPageParam: ({ offset, jobs, hasMore }) => (hasMore ? offset + jobs.length : undefined),
  })
  const tiles = (data?.pages ?? []).flatMap(({ jobs }) =>
    jobs.flatMap((job): Tile[] =>
      // What was only shown is gone with the next start of the agent.
      job.files
        .filter(({ type }) => type === 'output')
        .map((file) => ({ key: `${job.id}/${file.subfolder}/${file.filename}`, job, file })),
    ),
  )
  const loadMore = () => {
    if (hasNextPage && !isFetching) void fetchNextPage()
  }
  return { tiles, error, isPending, loadMore }
}

interface GridProps {
  readonly tiles: readonly Tile[]
  readonly onOpen: (index: number) => void
  readonly onEnd: () => void
}

/** Only the rows in sight are in the page, so that thousands of pictures scroll smoothly. */
function Grid({ tiles, onOpen, onEnd }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const { ref, width } = useElementSize()
  const columns = Math.max(2, Math.floor((width + GAP_PIXELS) / (TILE_PIXELS + GAP_PIXELS)))
  const side = Math.max(1, (width - GAP_PIXELS * (columns - 1)) / columns)
  const count = Math.ceil(tiles.length / columns)
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => side + GAP_PIXELS,
    overscan: 3,
  })
  const visible = rows.getVirtualItems()
  const lastRow = visible.at(-1)?.index ?? 0
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is in sight is the reason
  useEffect(() => {
    if (count > 0 && lastRow >= count - 2) onEnd()
  }, [lastRow, count])
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows have another height now
  useEffect(() => rows.measure(), [side])

  return (
    <div ref={scroller} className="gallery-scroller">
      <div ref={ref} style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {visible.map(({ index: row, start }) => (
          <div
            key={row}
            className="gallery-row"
            style={{
              transform: `translateY(${start}px)`,
              gridTemplateColumns: `repeat(${columns}, 1fr)`,
              gap: GAP_PIXELS,
              height: side,
            }}
          >
            {tiles.slice(row * columns, (row + 1) * columns).map(({ key, job, file }, column) => (
              <button
                key={key}
                type="button"
                className="tile"
                aria-label={`Open: ${job.prompt.text || file.filename}`}
                onClick={() => onOpen(row * columns + column)}
              >
                <img src={fileUrl(file, true)} alt="" loading="lazy" />
              </button>
            ))}
          </div>
        ))}
      </div>
    </div>
  )
}
