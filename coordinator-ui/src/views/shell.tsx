/** The frame of the page: where one can go, how the agent is, and what runs. */

import { isFinished } from '@comfymesh/protocol/job'
import {
  ActionIcon,
  Alert,
  Badge,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core'
import { IconMoon, IconPlayerPause, IconPlugConnectedX, IconSun } from '@tabler/icons-react'
import { type ReactNode, Suspense, useEffect, useRef } from 'react'
import { Link, Route, Switch, useLocation } from 'wouter'
import { type Health, useHealth } from '../api/health.ts'
import { Logo } from '../components/logo.tsx'
import { connection, isQueuePaused, jobs } from '../state/agent.ts'
import { useStore } from '../state/store.ts'
import { views } from './views.ts'

export function Shell() {
  return (
    <div className="shell">
      <header>
        <Bar />
        <ConnectionLost />
      </header>
      <main className="main" id="main">
        <Suspense>
          <Switch>
            {views.map(({ path, view: View }) => (
              <Route key={path} path={path}>
                <View />
              </Route>
            ))}
            <Route>
              <NotFound />
            </Route>
          </Switch>
        </Suspense>
      </main>
    </div>
  )
}

function Bar() {
  const health = useHealth()
  const shown = views.filter(({ isShown }) => isShown?.(health ?? nothingKnown) ?? true)
  return (
    <div className="bar">
      <Link href="/" className="brand" aria-label="comfymesh, home">
        <Logo />
        <span>comfymesh</span>
      </Link>
      <nav className="tabs" aria-label="Pages">
        {shown.map(({ path, title }) => (
          <Tab key={path} path={path}>
            {title}
            {path === '/queue' && <Paused />}
            {path === '/queue' && <Waiting />}
          </Tab>
        ))}
      </nav>
      <SchemeSwitch />
    </div>
  )
}

const nothingKnown: Health = { name: '', version: '', mesh: false }

function Tab({ path, children }: { readonly path: string; readonly children: ReactNode }) {
  const [location] = useLocation()
  const isCurrent = path === '/' ? location === '/' : location.startsWith(path)
  const tab = useRef<HTMLAnchorElement>(null)
  // On a phone not all of them fit.
  useEffect(() => {
    if (isCurrent) tab.current?.scrollIntoView({ inline: 'nearest', block: 'nearest' })
  }, [isCurrent])
  return (
    <Link ref={tab} href={path} className="tab" {...(isCurrent && { 'aria-current': 'page' })}>
      {children}
    </Link>
  )
}

/** Why what was submitted does not begin. */
function Paused() {
  if (!useStore(isQueuePaused)) return null
  return <IconPlayerPause size={16} role="img" aria-label="paused" />
}

function Waiting() {
  const count = [...useStore(jobs).values()].filter((job) => !isFinished(job)).length
  if (count === 0) return null
  return (
    <Badge size="sm" circle={count < 10} aria-label={`${count} unfinished`}>
      {count}
    </Badge>
  )
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme()
  const isDark = useComputedColorScheme('light') === 'dark'
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={isDark ? 'Light colours' : 'Dark colours'}
      onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
    >
      {isDark ? <IconSun size={18} /> : <IconMoon size={18} />}
    </ActionIcon>
  )
}

function ConnectionLost() {
  if (useStore(connection) !== 'lost') return null
  return (
    <Alert
      color="red"
      radius={0}
      py="xs"
      role="alert"
      icon={<IconPlugConnectedX size={18} />}
      title="The connection to the agent is lost"
    >
      Trying again by itself. What you typed is kept, and what runs goes on.
    </Alert>
  )
}

function NotFound() {
  return (
    <div className="page">
      There is no such page here. <Link href="/">Back to the start</Link>
    </div>
  )
}
