/** Three machines that are one mesh, and the page of one of them, in a real browser. */
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { accessibilityFaults, complaintsOf, testBrowser, withoutBrowser } from '../browser.ts'
import { type BuiltAgent, runBuilt, testBuiltAgent } from '../built-agent.ts'
import { allOn, connectedPeers, joinMesh, planned } from '../loopback-mesh.ts'
import { submit, textToImage } from './prompts.ts'

t.setTimeout(300_000)

const LONG_MS = 120_000

/** All of it on one machine; where that cannot, what else is asked for happens. */
function boundTo(name: string, prompt: ReturnType<typeof textToImage>, fallback: 'ask' | 'auto') {
  return { comfymesh: { ...(allOn(prompt, name).comfymesh as object), fallback } }
}

async function openJob(page: Page, { url }: BuiltAgent, id: string): Promise<void> {
  await page.goto(`${url}/#/jobs/${id}`)
}

/** Of a job, by a machine whose name begins so. */
const stageOn = (page: Page, names: string): Locator =>
  page.getByRole('listitem').filter({ hasText: new RegExp(`On (${names})`) })
const card = (page: Page, name: string): Locator => page.getByRole('region', { name })

t.test('three machines and the page of one', { skip: withoutBrowser }, async (t) => {
  const folder = t.testdir({})
  const start = (name: string) =>
    testBuiltAgent(t, join(folder, name), ['--mesh', 'on', '--name', name])
  const [browser, anna, bert, carl] = await Promise.all([
    testBrowser(t),
    start('anna'),
    start('bert'),
    start('carl'),
  ])
  await joinMesh(anna, bert)
  const page = await browser.newPage()
  page.setDefaultTimeout(LONG_MS)
  const complaints = complaintsOf(page)

  await t.test('a machine is added by one line', async (t) => {
    await page.goto(`${anna.url}/#/mesh`)
    await page.getByRole('button', { name: 'Add a machine' }).click()
    const line = await page.getByText(/^comfymesh join cm1_/).textContent()
    const here = ['--port', new URL(carl.url).port, '--data-dir', carl.dataDir]
    const joined = await runBuilt([...line!.split(' ').slice(1), ...here])
    t.equal(joined.code, 0, joined.stderr)
    await page.getByText('carl has joined.').waitFor()
    await page.getByRole('button', { name: 'Done' }).click()
    await card(page, 'carl').getByText('Connected').waitFor()
    await page.getByText('3 machines, 3 connected').waitFor()
    await connectedPeers(bert, 2)
  })

  await t.test('from an empty profile to the first picture in one click', async () => {
    const profile = await browser.newContext()
    const fresh = await profile.newPage()
    fresh.setDefaultTimeout(LONG_MS)
    await fresh.goto(anna.url)
    await fresh.getByRole('button', { name: 'Run', exact: true }).click()
    await fresh.getByRole('region', { name: 'Picture' }).locator('img[src*="view"]').waitFor()
    await profile.close()
  })

  await t.test('where it runs is chosen, and kept', async (t) => {
    const prompt = textToImage()
    await planned(anna, prompt, allOn(prompt, 'bert'))
    await page.goto(anna.url)
    await page.getByLabel('Steps').fill('2')
    await page.getByRole('button', { name: 'Runs anywhere' }).click()
    await page.getByRole('radio', { name: 'bert', exact: true }).check()
    await page.getByRole('radio', { name: 'Fail' }).check()
    t.strictSame(await accessibilityFaults(page), [])
    await page.keyboard.press('Escape')
    await page.reload()
    const choice = page.getByRole('button', { name: 'Runs on bert only' })
    await choice.waitFor()
    const accepted = page.waitForResponse((response) => response.url().endsWith('/api/prompt'))
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const { prompt_id: id } = (await (await accepted).json()) as { prompt_id: string }
    // Until the new job is known, the page shows the one before, and how that was made.
    const made = page.getByRole('link', { name: 'How it was made' })
    await made.and(page.locator(`[href$="/jobs/${id}"]`)).click()
    await stageOn(page, 'bert').getByText('Done').waitFor()
    t.equal(await stageOn(page, 'anna|carl').count(), 0)
    await page.goto(anna.url)
    await choice.click()
    await page.getByRole('radio', { name: /^Anywhere/ }).check()
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Runs anywhere' }).waitFor()
  })

  await t.test('a machine dies, and the job is finished by another', async (t) => {
    const prompt = textToImage({ text: 'a blue square', side: 256, steps: 30 })
    const bound = boundTo('bert', prompt, 'auto')
    await planned(anna, prompt, allOn(prompt, 'bert'))
    await openJob(page, anna, await submit(anna, prompt, undefined, bound))
    await page
      .getByRole('status')
      .getByText(/^KSampler, step \d+ of 30$/)
      .waitFor()
    await stageOn(page, 'bert').waitFor()
    await bert.kill()
    await page.getByText(/failed on bert$/).waitFor()
    await page.getByText('Completed', { exact: true }).first().waitFor()
    await stageOn(page, 'anna|carl').getByText('Done').waitFor()
    await page.getByRole('img', { name: 'a blue square' }).waitFor()
    t.strictSame(await accessibilityFaults(page), [])
    await page.getByRole('link', { name: 'Mesh', exact: true }).click()
    await card(page, 'bert').getByText('Away').waitFor()
    await page.getByText('3 machines, 2 connected').waitFor()
  })

  await t.test('a job that asks is answered with another machine', async (t) => {
    const prompt = textToImage({ text: 'a red triangle' })
    for (const name of ['anna', 'carl']) await planned(anna, prompt, allOn(prompt, name))
    await submit(anna, prompt, undefined, boundTo('bert', prompt, 'ask'))
    await page.getByRole('link', { name: /^Queue/ }).click()
    await page.getByRole('link', { name: 'Answer' }).click()
    const question = page.getByRole('alert', { name: 'This job waits for your answer' })
    await question.getByText(/bert/).waitFor()
    const proposed = await question.getByText(/, as proposed$/).textContent()
    const other = proposed === 'carl, as proposed' ? 'anna' : 'carl'
    await question.getByRole('radio', { name: other, exact: true }).check()
    await question.getByText(new RegExp(`on ${other}\\. Done in about`)).waitFor()
    t.strictSame(await accessibilityFaults(page), [])
    await question.getByRole('button', { name: `Run on ${other}` }).click()
    await stageOn(page, other).getByText('Done').waitFor()
    await page.getByRole('img', { name: 'a red triangle' }).waitFor()
  })

  await t.test('a job that asks is not run at all', async () => {
    const prompt = textToImage({ text: 'a green ring' })
    await openJob(page, anna, await submit(anna, prompt, undefined, boundTo('bert', prompt, 'ask')))
    await page.getByRole('button', { name: 'Cancel the job' }).click()
    await page.getByText('Cancelled', { exact: true }).first().waitFor()
    await page.getByText('Answered: cancel it').waitFor()
  })
  t.strictSame(complaints, [])
})
