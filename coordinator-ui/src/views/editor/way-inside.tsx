/** Which subgraph is looked into, and the way out of it. */
import { Text } from '@mantine/core'
import { IconChevronRight } from '@tabler/icons-react'
import { editor, lookInto } from '../../state/editor/editor.ts'
import { instanceCount, opened, pathTitles } from '../../state/editor/open-graph.ts'
import { useStore } from '../../state/store.ts'

/** Nothing where the drawing itself is open. */
export function WayInside() {
  const { history, path } = useStore(editor)
  const { workflow } = history.present
  const titles = pathTitles(workflow, path)
  const definition = opened(workflow, path).at(-1)
  if (definition === undefined) return null
  const count = instanceCount(workflow, definition)
  const ways = [
    { key: 'drawing', title: 'Whole drawing', way: [] },
    ...titles.map((title, depth) => {
      const way = path.slice(0, depth + 1)
      return { key: way.join(), title, way }
    }),
  ]
  return (
    <nav className="editor-way" aria-label="Subgraph">
      <ol>
        {ways.map(({ key, title, way }, depth) => (
          <li key={key}>
            {depth > 0 && <IconChevronRight size={14} aria-hidden="true" />}
            {depth === ways.length - 1 ? (
              <b aria-current="location">{title}</b>
            ) : (
              <button type="button" onClick={() => lookInto(way)}>
                {title}
              </button>
            )}
          </li>
        ))}
      </ol>
      {count > 1 && (
        <Text size="xs" c="dimmed">
          Used {count} times: what you change here changes in all of them.
        </Text>
      )}
    </nav>
  )
}
