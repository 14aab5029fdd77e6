/** The official frontend in a browser, driven as a person does: keys, clicks, what is on the screen. */
import type { Browser, Page } from 'playwright-core'
import type { TestPrompt } from './prompts.ts'

/** What is used of the frontend's own objects; they are in the page. */
interface FrontendWindow {
  readonly app: {
    readonly graph: { readonly _nodes: readonly GraphNode[] }
    readonly api: EventTarget
    readonly extensionManager: {
      readonly command: { execute(name: string): Promise<void> }
      readonly sidebarTab: { readonly sidebarTabs: readonly { readonly id: string }[] }
    }
    loadApiJson(prompt: object, name: string): void | Promise<void>
  }
  /** Kept by these tests: the types of the messages that the page got. */
  told: string[]
}

interface GraphNode {
  readonly type: string
  readonly imgs?: readonly Picture[]
  readonly widgets: { readonly name: string; value: unknown }[]
}

interface Picture {
  readonly src: string
  readonly naturalWidth: number
}

declare const window: FrontendWindow
declare const document: {
  readonly title: string
  readonly images: Iterable<Picture>
  readonly activeElement: { blur(): void } | null
}

export interface FrontendPage {
  readonly page: Page
  /** Answers of the server, `404 GET /comfy/x` where they are no success. */
  readonly refused: string[]
  /** Errors that nothing in the page caught. */
  readonly errors: string[]
  /** Opens the page and waits for a graph. @returns the types of its nodes. */
  boot(): Promise<string[]>
  /** Waits until the graph has nodes. */
  untilGraph(): Promise<void>
  load(prompt: TestPrompt): Promise<void>
  set(type: string, widget: string, value: unknown): Promise<void>
  widget(type: string, widget: string): Promise<unknown>
  /** Presses the keys for Run. */
  run(): Promise<void>
  /** Waits for a message of the server. @returns the types of all messages since Run. */
  until(type: string): Promise<string[]>
  /** Waits until the title, which tells a workflow's name and a job's progress, has this or not. */
  untilTitle(text: string, isThere?: boolean): Promise<void>
  command(name: string): Promise<void>
  /** Opens the first of these tabs of the sidebar that the version has. */
  openTab(...ids: string[]): Promise<void>
}

/** On a machine that is busy with other things, too. */
const WAIT_MS = 120_000

export async function openFrontend(browser: Browser, url: string): Promise<FrontendPage> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  page.setDefaultTimeout(WAIT_MS)
  // What transpiles these tests leaves calls of it in the functions that go to the page.
  await page.addInitScript('globalThis.__name = (named) => named')
  const refused: string[] = []
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('response', (response) => {
    if (response.status() < 400) return
    const { pathname, search } = new URL(response.url())
    refused.push(`${response.status()} ${response.request().method()} ${pathname}${search}`)
  })
  const untilGraph = async () => {
    await page.waitForFunction(() => window.app?.graph?._nodes?.length > 0)
  }

  return {
    page,
    refused,
    errors,
    async boot() {
      await page.goto(`${url}/comfy/`)
      await untilGraph()
      return page.evaluate(() => window.app.graph._nodes.map(({ type }) => type))
    },
    untilGraph,
    async load(prompt) {
      const json = JSON.stringify(prompt)
      await page.evaluate((given) => window.app.loadApiJson(JSON.parse(given), 'given'), json)
      await page.waitForFunction(
        (count) => window.app.graph._nodes.length === count,
        Object.keys(prompt).length,
      )
    },
    set: (type, name, value) =>
      page.evaluate(
        (given) => {
          const node = window.app.graph._nodes.find((one) => one.type === given.type)
          node!.widgets.find((widget) => widget.name === given.name)!.value = given.value
        },
        { type, name, value },
      ),
    widget: (type, name) =>
      page.evaluate(
        (given) => {
          const node = window.app.graph._nodes.find((one) => one.type === given.type)
          return node!.widgets.find((widget) => widget.name === given.name)!.value
        },
        { type, name },
      ),
    async run() {
      await page.evaluate(listen)
      await page.keyboard.press('Control+Enter')
    },
    async until(type) {
      await page.waitForFunction((wanted) => window.told.includes(wanted), type)
      return page.evaluate(() => window.told)
    },
    async untilTitle(text, isThere = true) {
      const wanted = { text, isThere }
      await page.waitForFunction((one) => document.title.includes(one.text) === one.isThere, wanted)
    },
    command: (name) => page.evaluate((id) => window.app.extensionManager.command.execute(id), name),
    async openTab(...ids) {
      await page.evaluate((wanted) => {
        const { command, sidebarTab } = window.app.extensionManager
        const has = (id: string) => sidebarTab.sidebarTabs.some((tab) => tab.id === id)
        return command.execute(`Workspace.ToggleSidebarTab.${wanted.find(has)}`)
      }, ids)
    },
  }
}

/** In the page: takes note of what the server tells from now on, with the focus on no field. */
function listen(): void {
  window.told = []
  const types = ['execution_start', 'progress', 'progress_state', 'b_preview', 'executed']
  for (const type of [...types, 'execution_success', 'execution_interrupted', 'execution_error'])
    window.app.api.addEventListener(type, () => window.told.push(type))
  document.activeElement?.blur()
}

/** In the page: whether the picture that was made is drawn on its node. */
export function isPictureShown(side: number): boolean {
  const drawn = window.app.graph._nodes.find(({ type }) => type === 'SaveImage')?.imgs ?? []
  return [...drawn, ...document.images].some(
    ({ src, naturalWidth }) => src.includes('filename=ComfyUI_') && naturalWidth === side,
  )
}
