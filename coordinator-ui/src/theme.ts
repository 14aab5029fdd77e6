/** Colours and sizes of the page. */
import { createTheme, Tooltip } from '@mantine/core'

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: 8,
  autoContrast: true,
  defaultRadius: 'md',
  fontFamily:
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  components: {
    // Beside what it explains, so that screen readers find it in its place.
    Tooltip: Tooltip.extend({ defaultProps: { withinPortal: false } }),
  },
  headings: { fontWeight: '600' },
})
