/** The coordinator page in a real browser, as an artist uses it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page, Request } from 'playwright-core'
import t, { type Test } from 'tap'
import { accessibilityFaults, complaintsOf, sharedBrowser, withoutBrowser } from '../browser.ts'
import { type BuiltAgent, startBuiltAgent } from '../built-agent.ts'
import { sharedAgent } from '../shared-agent.ts'

t.setTimeout(300_000)
const idleAgent = sharedAgent(t)
const newPage = sharedBrowser(t)

const LONG_MS = 120_000
/** What the page loads before its editor, compressed. */
const MAX_SCRIPT_BYTES = 300_000

async function open(t: Test, { url }: Pick<BuiltAgent, 'url'>, colorScheme?: 'dark') {
  const page = await newPage(t, { ...(colorScheme && { colorScheme }) })
  page.setDefaultTimeout(LONG_MS)
  await page.goto(url)
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).waitFor()
  return page
}

const say = (page: Page, text: string) =>
  page.getByRole('textbox', { name: 'Prompt', exact: true }).fill(text)
const run = (page: Page) => page.getByRole('button', { name: 'Run', exact: true }).click()
const shown = (page: Page, text: string) =>
  page.getByRole('region', { name: 'Picture' }).getByAltText(text)

/** Few steps: what they look like is for other tests. */
const quick = (page: Page) => page.getByLabel('Steps').fill('2')

t.test('from an empty profile to pictures', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent)
  const complaints = complaintsOf(page)
  t.strictSame(await accessibilityFaults(page), [], 'Create is for everybody')

  await t.test('Run makes the picture of the default workflow', async (t) => {
    const text = await page.getByRole('textbox', { name: 'Prompt', exact: true }).inputValue()
    await run(page)
    const picture = shown(page, text)
    await picture.waitFor()
    const width = await picture.evaluate((image: { naturalWidth: number }) => image.naturalWidth)
    t.equal(width, 256)
    await page.getByText(/seed \d+ · 256 × 256 · 20 steps · guidance 4.5/).waitFor()
  })

  await t.test('the graph shows what each node has come to', async () => {
    await page.getByText('Graph', { exact: true }).click()
    const title = page.getByText('Sample', { exact: true })
    await page.locator('.node[data-status="finished"]', { has: title }).waitFor()
    await page.getByText('Picture', { exact: true }).click()
  })

  await t.test('what was typed outlives a reload', async (t) => {
    await quick(page)
    await say(page, 'a red circle on a blue background')
    await page.reload()
    const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true })
    t.equal(await prompt.inputValue(), 'a red circle on a blue background')
    t.equal(await page.getByLabel('Steps').inputValue(), '2')
    await run(page)
    await shown(page, 'a red circle on a blue background').waitFor()
  })

  await t.test('the gallery finds, shows, compares and gives back the settings', async (t) => {
    await page.getByRole('link', { name: 'Gallery' }).click()
    await page
      .getByRole('button', { name: /^Open: / })
      .nth(1)
      .waitFor()
    t.equal(await page.getByRole('button', { name: /^Open: / }).count(), 2)
    await page.getByLabel('Search the gallery').fill('CIRCLE red')
    await page.getByRole('button', { name: /^Open: a yellow/ }).waitFor({ state: 'detached' })
    await page.getByLabel('Search the gallery').fill('')
    await page.getByRole('button', { name: /^Open: a red circle/ }).click()
    await page.getByText('1 of 2').waitFor()
    t.strictSame(await accessibilityFaults(page), [])
    await page.keyboard.press('ArrowRight')
    await page.getByText('2 of 2').waitFor()
    await page.keyboard.press('c')
    t.equal(await page.getByRole('figure').count(), 2)
    await page.getByRole('button', { name: 'Use these settings' }).first().click()
    t.equal(await page.getByLabel('Steps').inputValue(), '20')
  })

  await t.test('a picture dropped onto the page brings its settings', async (t) => {
    const name = readdirSync(agent.outputDir).sort().at(-1)!
    await drop(page, name, readFileSync(join(agent.outputDir, name)))
    await page.getByText(name.replace('.png', ''), { exact: true }).waitFor()
    t.equal(await page.getByLabel('Steps').inputValue(), '2')
    await drop(page, 'odd.json', Buffer.from('{"a": 1}'))
    await page.getByRole('alert').getByText('odd.json: This is neither').waitFor()
  })
  t.strictSame(complaints, [])
})

t.test('refusals and failures stand where they belong', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent)
  const prompt = {
    1: { class_type: 'LoadImage', inputs: { image: 'gone.png' } },
    2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  }
  await drop(page, 'gone.json', Buffer.from(JSON.stringify(prompt)))
  await run(page)
  await page
    .getByRole('alert')
    .getByText(/fields say which|gone\.png/)
    .waitFor()
  t.match(await page.getByLabel('Parameters').textContent(), /gone\.png/)

  const unlisted = {
    1: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'gone.safetensors' } },
    2: { class_type: 'VAEDecode', inputs: { samples: ['1', 0], vae: ['1', 2] } },
    3: { class_type: 'PreviewImage', inputs: { images: ['2', 0] } },
  }
  await drop(page, 'unlisted.json', Buffer.from(JSON.stringify(unlisted)))
  await page.getByText('unlisted', { exact: true }).waitFor()
  await run(page)
  await page.getByText(/gone\.safetensors.*put the file into the checkpoints folder/).waitFor()
  await page
    .getByRole('alert')
    .getByText(/VAEDecode.*Link samples to an output/)
    .waitFor()
  t.strictSame(await accessibilityFaults(page), [])
})

t.test('the queue pauses, moves and cancels', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await open(t, agent, 'dark')
  const elsewhere = await open(t, agent)
  await quick(page)
  await page.getByRole('link', { name: /Queue/ }).click()
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('The queue is paused').waitFor()
  const pausedTab = elsewhere.getByRole('link', { name: /^Queue paused/ })
  await pausedTab.waitFor()
  await page.getByRole('link', { name: 'Create', exact: true }).click()
  for (const text of ['first', 'second', 'third']) {
    const accepted = page.waitForResponse((response) => response.url().endsWith('/api/prompt'))
    await say(page, text)
    await run(page)
    await accepted
  }
  await page.getByRole('link', { name: /Queue/ }).click()
  const rows = () => page.getByRole('listitem').locator('.mantine-Text-root:first-child')
  await page.getByRole('button', { name: 'Run third next' }).click()
  await page.getByRole('listitem').first().getByText('third').waitFor()
  t.strictSame(await rows().allTextContents(), ['third', 'first', 'second'])
  await page.getByRole('button', { name: 'Cancel first' }).click()
  await page.getByRole('button', { name: 'Cancel first' }).waitFor({ state: 'detached' })
  t.strictSame(await accessibilityFaults(page), [])
  await page.getByRole('button', { name: 'Resume' }).click()
  await pausedTab.waitFor({ state: 'detached' })
  await page.getByText('Nothing runs and nothing waits.').waitFor()
})

t.test('a lost connection shows, heals, and loses nothing', { skip: withoutBrowser }, async (t) => {
  const dataDir = join(t.testdir({}), 'data')
  const first = await startBuiltAgent(dataDir)
  t.teardown(() => first.stop())
  const page = await open(t, first)
  await say(page, 'typed before the agent went away')
  await first.kill()
  await page.getByText('The connection to the agent is lost').waitFor()
  const { port } = new URL(first.url)
  const second = await startBuiltAgent(dataDir, ['--port', port])
  t.teardown(() => second.stop())
  await page.getByText('The connection to the agent is lost').waitFor({ state: 'detached' })
  await quick(page)
  await run(page)
  await shown(page, 'typed before the agent went away').waitFor()
})

t.test('the page is small', { skip: withoutBrowser }, async (t) => {
  const agent = await idleAgent()
  const page = await newPage(t)
  const scripts: ReturnType<Request['sizes']>[] = []
  page.on('requestfinished', (request) => {
    if (request.resourceType() === 'script') scripts.push(request.sizes())
  })
  await page.goto(agent.url, { waitUntil: 'networkidle' })
  const sizes = await Promise.all(scripts)
  const scriptBytes = sizes.reduce((sum, { responseBodySize }) => sum + responseBodySize, 0)
  t.ok(scriptBytes > 0 && scriptBytes < MAX_SCRIPT_BYTES, `${scriptBytes} bytes of script`)
})

/** Drops a file onto the page, as from the desktop. */
async function drop(page: Page, name: string, bytes: Buffer): Promise<void> {
  const type = name.endsWith('.png') ? 'image/png' : 'application/json'
  await page.evaluate(`{
    const bytes = Uint8Array.from(atob(${JSON.stringify(bytes.toString('base64'))}), (c) => c.charCodeAt(0))
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([bytes], ${JSON.stringify(name)}, { type: ${JSON.stringify(type)} }))
    window.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }))
  }`)
}
