/**
 * The page at `/`: that an agent runs here, how busy it is, and where to go. Plain
 * HTML without a script, so that it shows wherever an answer of the agent arrives.
 */
import { FRONTEND_PATH } from './frontend-folder.ts'

export interface HomePageFacts {
  readonly name: string
  readonly version: string
  /** Whether an official frontend is served too. */
  readonly hasFrontend: boolean
  /** How many jobs run and wait. */
  readonly running: number
  readonly waiting: number
}

/** What a page without scripts, pictures and forms needs, and nothing else. */
export const homePageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store, must-revalidate',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  vary: 'Accept',
} as const

export function homePage(facts: HomePageFacts): string {
  const { version, hasFrontend, running, waiting } = facts
  const name = escapeHtml(facts.name)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>comfymesh on ${name}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>comfymesh runs on ${name}</h1>
<dl>
<dt>Version</dt><dd>${escapeHtml(version)}</dd>
<dt>Queue</dt><dd>${queueText(running, waiting)}</dd>
</dl>
<ul>
${(hasFrontend ? [FRONTEND_LINK, ...LINKS] : LINKS).map((link) => `<li>${link}</li>`).join('\n')}
</ul>
${hasFrontend ? '' : FRONTEND_HINT}
</main>
</body>
</html>
`
}

/** The same for programs that want no HTML, such as curl. */
export function homeText({ name, version, hasFrontend, running, waiting }: HomePageFacts): string {
  const frontend = hasFrontend ? `, the frontend at ${FRONTEND_PATH}/` : ''
  return (
    `comfymesh ${version} on ${name}: ${queueText(running, waiting)}.\n` +
    `ComfyUI's API is here and at /api, its WebSocket at /ws${frontend}; see /v1/openapi.json and /health.\n`
  )
}

const FRONTEND_LINK = `<a href="${FRONTEND_PATH.slice(1)}/">Open the ComfyUI frontend</a>`

const LINKS = [
  '<a href="queue">Queue</a>: the jobs that run and wait, as ComfyUI tells them',
  '<a href="v1/openapi.json">API</a>: an OpenAPI document of every route',
  '<a href="health">Health</a>: for programs that watch this agent',
]

const FRONTEND_HINT =
  '<p>The ComfyUI frontend is not set up here. Unpack the Python package ' +
  '<code>comfyui-frontend-package</code> and start the agent with <code>--frontend</code> and its ' +
  'folder <code>static</code>; it then appears at <code>/comfy/</code>. ComfyUI clients, scripts and ' +
  'plugins work without it.</p>'

function queueText(running: number, waiting: number): string {
  return running + waiting === 0 ? 'idle' : `${running} running, ${waiting} waiting`
}

function escapeHtml(text: string): string {
  const entities: { readonly [character: string]: string } = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replace(/[&<>"']/g, (character) => entities[character]!)
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --quiet: #57606a; --link: #0550ae }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #15181c; --quiet: #9aa4af; --link: #79b8ff }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
main { max-width: 38rem; margin: 12vh auto; padding: 0 1.5rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem }
dt { color: var(--quiet) } dd { margin: 0 } ul { padding-left: 1.2rem }
a { color: var(--link) } a:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
code { font-size: .95em } p { color: var(--quiet) }
`
