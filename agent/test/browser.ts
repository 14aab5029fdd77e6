/**
 * Chromium, for tests of pages. It comes from the system (Debian: `apt-get install chromium`) or
 * from where $COMFYMESH_CHROMIUM says; without one such tests are skipped, except in CI.
 */
import { existsSync } from 'node:fs'
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const places = [
  process.env.COMFYMESH_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** Where the browser is; undefined where there is none. */
export const browserPath = places.find((path) => path !== undefined && existsSync(path))

/** For the options of a test: why it is skipped, or false. */
export const withoutBrowser: string | false =
  browserPath !== undefined || process.env.CI !== undefined
    ? false
    : 'NO BROWSER HERE: install Chromium, or say where it is with COMFYMESH_CHROMIUM'

/** A browser that is gone with its test. */
export async function testBrowser(t: Test): Promise<Browser> {
  if (browserPath === undefined) throw new Error('There is no Chromium, and in CI there must be.')
  // Containers and root accounts cannot have its sandbox; it sees nothing but our own pages.
  const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] })
  t.teardown(() => browser.close())
  return browser
}

/** Opens a page of an empty profile, which is gone with the test of `t`. */
export type NewPage = (t: Test, options?: BrowserContextOptions) => Promise<Page>

/** One browser for all tests of a file, started when the first of them wants a page. */
export function sharedBrowser(t: Test): NewPage {
  let started: Promise<Browser> | undefined
  return async (own, options) => {
    started ??= testBrowser(t)
    const page = await (await started).newPage(options)
    own.teardown(() => page.close())
    return page
  }
}

/** Collects what a page complains about: exceptions, and errors in its console. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`)
  })
  return complaints
}

/** What keeps people with a keyboard or a screen reader out, as axe finds it. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()')
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
}
