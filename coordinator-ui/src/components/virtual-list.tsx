/** A long list of which only what is in sight is in the page; it scrolls with the page. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react'

export interface VirtualListProps<T> {
  readonly label: string
  readonly items: readonly T[]
  readonly keyOf: (item: T) => string
  /** Of an item before it is measured. */
  readonly estimatePixels: number
  readonly render: (item: T) => ReactNode
  /** The end of the list is nearly in sight. */
  readonly onEnd?: () => void
}

const NEARLY = 10

const scroller = () => document.getElementById('main')

export function VirtualList<T>(props: VirtualListProps<T>) {
  const { label, items, keyOf, estimatePixels, render, onEnd } = props
  const list = useRef<HTMLUListElement>(null)
  const [topPixels, setTopPixels] = useState(0)
  // What stands above the list may change at any time; setting the same again costs nothing.
  useLayoutEffect(() => {
    const main = scroller()
    if (main === null || list.current === null) return
    const distance = list.current.getBoundingClientRect().top - main.getBoundingClientRect().top
    setTopPixels(Math.round(distance + main.scrollTop))
  })
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: scroller,
    estimateSize: () => estimatePixels,
    getItemKey: (index) => keyOf(items[index]!),
    scrollMargin: topPixels,
    overscan: 8,
  })
  const visible = rows.getVirtualItems()
  const last = visible.at(-1)?.index ?? -1
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is in sight is the reason
  useEffect(() => {
    if (items.length > 0 && last >= items.length - NEARLY) onEnd?.()
  }, [last, items.length])
  return (
    <ul
      ref={list}
      className="virtual-list"
      aria-label={label}
      style={{ height: rows.getTotalSize() }}
    >
      {visible.map(({ index, key, start }) => (
        <li
          key={key}
          ref={rows.measureElement}
          data-index={index}
          aria-setsize={items.length}
          aria-posinset={index + 1}
          style={{ transform: `translateY(${start - topPixels}px)` }}
        >
          {render(items[index]!)}
        </li>
      ))}
    </ul>
  )
}
