/**
 * Official ComfyUI frontends in a real browser: each starts, runs a graph, shows the picture, saves
 * and opens a workflow, interrupts and lists what was made. See frontend-package.ts for which.
 */
import t, { type Test } from 'tap'
import { testBrowser, withoutBrowser } from '../browser.ts'
import { testBuiltAgent } from '../built-agent.ts'
import { frontendPackage, versionsToTest } from './frontend-package.ts'
import { type FrontendPage, isPictureShown, openFrontend } from './frontend-page.ts'
import { CHECKPOINT, textToImage } from './prompts.ts'

t.setTimeout(900_000)

const SIDE = 256

for (const version of versionsToTest()) {
  t.test(`official frontend ${version}`, { skip: withoutBrowser }, async (t) => {
    const found = frontendPackage(version)
    if ('folder' in found) await use(t, found.folder)
    // Where Python's packages cannot be had, nothing of ours is wrong.
    else t.comment(`NOT TESTED: ${found.missing}`)
  })
}

async function use(t: Test, folder: string): Promise<void> {
  const agent = await testBuiltAgent(t, undefined, ['--frontend', folder])
  const frontend = await openFrontend(await testBrowser(t), agent.url)
  await runs(t, frontend)
  await savesAndOpens(t, frontend)
  await interrupts(t, frontend)
  await frontend.openTab('queue', 'assets')
  await frontend.page
    .locator('img[src*="/comfy/api/view?filename=ComfyUI_00001_"]')
    .first()
    .waitFor()
  t.strictSame(unexpected(frontend), [], 'the server had what the frontend asked for')
  t.strictSame(frontend.errors.filter(isOurs), [])
}

async function runs(t: Test, frontend: FrontendPage): Promise<void> {
  const types = await frontend.boot()
  t.ok(types.includes('KSampler'), `its default graph: ${types}`)
  // Newer ones begin with a model family that the agent does not know yet.
  if (!types.includes('CheckpointLoaderSimple')) await frontend.load(textToImage())
  await frontend.set('CheckpointLoaderSimple', 'ckpt_name', CHECKPOINT)
  await frontend.set('EmptyLatentImage', 'width', SIDE)
  await frontend.set('EmptyLatentImage', 'height', SIDE)
  await frontend.set('KSampler', 'steps', 4)
  await frontend.command('Comfy.Canvas.FitView')
  await frontend.run()
  const told = await frontend.until('execution_success')
  for (const type of ['execution_start', 'progress_state', 'progress', 'executed'])
    t.ok(told.includes(type), type)
  await frontend.page.waitForFunction(isPictureShown, SIDE)
}

async function savesAndOpens(t: Test, frontend: FrontendPage): Promise<void> {
  const { page } = frontend
  await page.keyboard.press('Control+s')
  await page.locator('input:focus').fill('drawn')
  const saved = page.waitForResponse((response) => response.url().includes('/userdata/workflows'))
  await page.keyboard.press('Enter')
  t.equal((await saved).status(), 200, 'the workflow is saved')
  await frontend.boot()
  // It goes on with what was open; a command before that would be undone.
  await frontend.untilTitle('drawn')
  await frontend.command('Comfy.NewBlankWorkflow')
  await frontend.untilTitle('drawn', false)
  await frontend.openTab('workflows')
  await page
    .locator('[class*=sidebar], .side-bar-panel')
    .getByText(/^drawn(\.json)?$/)
    .last()
    .click()
  await frontend.untilTitle('drawn')
  await frontend.untilGraph()
  t.equal(await frontend.widget('EmptyLatentImage', 'width'), SIDE, 'and opened as it was')
}

async function interrupts(t: Test, frontend: FrontendPage): Promise<void> {
  await frontend.set('KSampler', 'steps', 10_000)
  await frontend.run()
  await frontend.until('progress')
  await frontend.untilTitle('%')
  await frontend.command('Comfy.Interrupt')
  const told = await frontend.until('execution_interrupted')
  t.notOk(told.includes('execution_success'))
  await frontend.untilTitle('%', false)
}

/** Answers that were no success, but for those that ComfyUI gives to a new user, too. */
function unexpected({ refused }: FrontendPage): string[] {
  const known = [
    /^404 GET .*\/user\.css$/,
    /^404 GET .*\/userdata\?dir=(workflows|subgraphs)/,
    /^404 GET .*\/userdata\/(comfy\.templates\.json|workflows%2F\.index\.json)$/,
    // The gallery of templates is a package of its own.
    /^404 GET \/comfy\/templates\//,
    // It looks for the icon at the root, wherever its page is.
    /^404 GET \/assets\/images\/favicon_progress/,
    // What it asks of the internet is not ours.
    / https?:\/\/[^/]*comfy\.org/,
  ]
  return refused.filter((line) => !known.some((pattern) => pattern.test(line)))
}

/** Version 1.27 announces settings before it has read them, with every server. */
function isOurs(error: string): boolean {
  return !/reading 'id'/.test(error)
}
