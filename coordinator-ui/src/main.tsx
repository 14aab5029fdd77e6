/** The page of an agent. What it shows is in views/, what it knows in state/, whom it asks in api/. */
import './plain-schemas.ts'
import '@mantine/core/styles.css'
import './page.css'
import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Router } from 'wouter'
import { useHashLocation } from 'wouter/use-hash-location'
import { Refused } from './api/http.ts'
import { followJobs } from './state/agent.ts'
import { theme } from './theme.ts'
import { Shell } from './views/shell.tsx'

/** A refusal stays one when it is asked for again. */
const mayRetry = (failures: number, error: Error) => failures === 0 && !(error instanceof Refused)

const queries = new QueryClient({
  defaultOptions: { queries: { retry: mayRetry, staleTime: 5000, refetchOnWindowFocus: true } },
})

followJobs()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        {/* In the hash: the agent serves one page, and the other paths are ComfyUI's. */}
        <Router hook={useHashLocation}>
          <Shell />
        </Router>
      </MantineProvider>
    </QueryClientProvider>
  </StrictMode>,
)
